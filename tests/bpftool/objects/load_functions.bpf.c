#include "bpf.h"
/* functions of other sections, global and static, one in another, and a callback that calls */
__noinline int doubled(int number)
{
	return number * 2;
}
static __noinline int quadrupled(int number)
{
	return doubled(number) + doubled(number + 1);
}
static int each(u32 number, int *sum)
{
	*sum += quadrupled(number);
	return 0;
}
SEC("tc") int classify(void *context)
{
	int sum = 0;

	loop(3, each, &sum, 0);
	return sum + quadrupled(sum);
}
SEC("xdp") int pass(void *context)
{
	return doubled((int)ktime_get_ns()) ? 2 : 1;
}
LICENSE("GPL");
