#include "bpf.h"
static long step(u32 index, void *context)
{
	return no_such_helper();
}
SEC("tc") int classify(void *context)
{
	return loop(4, step, 0, 0);
}
LICENSE("GPL");
