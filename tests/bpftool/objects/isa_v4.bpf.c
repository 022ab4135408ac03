#include "bpf.h"
SEC("socket") int filter(void *context)
{
	int result;

	/* r0 = (s8) r0, which this compiler cannot write */
	asm volatile("r0 = 200; .8byte 0x0000000000080000 + 0xbf; %0 = r0" : "=r"(result)::"r0");
	return result;
}
LICENSE("GPL");
