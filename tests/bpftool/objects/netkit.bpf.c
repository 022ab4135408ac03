#include "bpf.h"
SEC("netkit/peer") int peer(void *context)
{
	return 0;
}
LICENSE("GPL");
