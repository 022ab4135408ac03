#include "bpf.h"
SEC("sk_lookup") int pick(void *context)
{
	return 1;
}
LICENSE("GPL");
