#include "bpf.h"
struct {
	__uint(type, 2);
	__uint(max_entries, 8);
	__uint(key_size, 8);
	__uint(value_size, 8);
} wide_key SEC(".maps");
SEC("socket") int filter(void *context)
{
	return 0;
}
LICENSE("GPL");
