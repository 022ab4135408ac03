#include "bpf.h"
static __noinline int deep(void *context, int more)
{
	return no_such_helper() + more;
}
static __noinline int middle(void *context)
{
	return deep(context, 3) * 2;
}
SEC("tc") int classify(void *context)
{
	return middle(context);
}
SEC("xdp") int pass(void *context)
{
	return 2;
}
LICENSE("GPL");
