#include "bpf.h"
struct {
	__uint(type, 24);
	__type(key, int);
	__type(value, u64);
} of_socket SEC(".maps");
SEC("socket") int filter(void *context)
{
	return 0;
}
LICENSE("GPL");
