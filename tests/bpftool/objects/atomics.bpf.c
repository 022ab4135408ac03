#include "bpf.h"
u64 counter;
SEC("socket") int filter(void *context)
{
	return __sync_fetch_and_add(&counter, 1) & 1;
}
LICENSE("GPL");
