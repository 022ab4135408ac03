#include "bpf.h"
struct {
	__uint(type, 200);
	__uint(max_entries, 8);
	__type(key, u32);
	__type(value, u64);
} map SEC(".maps");
SEC("socket") int filter(void *context)
{
	return 0;
}
LICENSE("GPL");
