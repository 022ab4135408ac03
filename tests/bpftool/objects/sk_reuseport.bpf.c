#include "bpf.h"
SEC("sk_reuseport/migrate") int pick(void *context)
{
	return 1;
}
LICENSE("GPL");
