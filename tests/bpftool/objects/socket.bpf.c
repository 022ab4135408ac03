#include "bpf.h"
SEC("socket") int filter(void *context)
{
	return ktime_get_ns() & 1;
}
LICENSE("GPL");
