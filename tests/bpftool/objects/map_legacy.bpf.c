#include "bpf.h"
struct {
	u32 type, key_size, value_size, max_entries, map_flags;
} hash SEC("maps") = {1, 4, 8, 16, 0};
SEC("socket") int filter(void *context)
{
	u32 key = 0;

	return map_lookup_elem(&hash, &key) != 0;
}
LICENSE("GPL");
