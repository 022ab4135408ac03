#include "bpf.h"
struct key {
	u32 bits;
	u32 data;
};
struct {
	__uint(type, 11);
	__uint(max_entries, 8);
	__type(key, struct key);
	__type(value, u64);
	__uint(map_flags, 1);
} trie SEC(".maps");
SEC("socket") int filter(void *context)
{
	return 0;
}
LICENSE("GPL");
