#include "bpf.h"
SEC("xdp") int pass(void *context)
{
	return 2;
}
LICENSE("BSD");
