#include "bpf.h"
SEC("netfilter") int accept(void *context)
{
	return 1;
}
LICENSE("GPL");
