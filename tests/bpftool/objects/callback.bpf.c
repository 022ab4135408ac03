#include "bpf.h"
static long fine(u32 index, void *context)
{
	return 0;
}
SEC("tc") int classify(void *context)
{
	return loop(4, fine, 0, 0);
}
LICENSE("GPL");
