#include "bpf.h"
struct {
	__uint(type, 1);
	__uint(max_entries, 100);
	__type(key, u32);
	__type(value, u32);
	__uint(map_extra, 3);
} hash SEC(".maps");
SEC("socket") int filter_(void *context)
{
	return 0;
}
LICENSE("GPL");
