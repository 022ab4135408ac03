#include "bpf.h"
SEC("tcx/ingress") int in(void *context)
{
	return 0;
}
SEC("tcx/egress") int out(void *context)
{
	return 0;
}
LICENSE("GPL");
