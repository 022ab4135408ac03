#include "bpf.h"
struct {
	__uint(type, 3);
	__uint(max_entries, 8);
	__uint(key_size, 4);
	__uint(value_size, 4);
} programs SEC(".maps");
SEC("tc") int classify(void *context)
{
	tail_call(context, &programs, 0);
	return 0;
}
LICENSE("GPL");
