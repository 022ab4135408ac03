#include "bpf.h"
SEC("kprobe") int hit(void *context)
{
	char text[4];

	return probe_read_kernel(text, sizeof(text), context) != 0;
}
/* loaded when asked for, and nobody asks */
SEC("?kprobe") int never(void *context)
{
	return no_such_helper();
}
LICENSE("GPL");
