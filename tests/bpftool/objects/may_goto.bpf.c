#include "bpf.h"
SEC("socket") int filter(void *context)
{
	asm volatile(".8byte 0xe5" ::: "r0"); /* may_goto +0 */
	return 0;
}
LICENSE("GPL");
