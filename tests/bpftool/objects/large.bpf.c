#include "bpf.h"
SEC("socket") int filter(void *context)
{
	asm volatile(".rept 5000; r0 = 1; .endr" ::: "r0");
	return 0;
}
LICENSE("GPL");
