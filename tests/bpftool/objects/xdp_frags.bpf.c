#include "bpf.h"
SEC("xdp.frags") int pass(void *context)
{
	return 2;
}
LICENSE("GPL");
