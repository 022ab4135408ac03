#include "bpf.h"
SEC("kprobe") int enter(void *context)
{
	return skb_store_bytes(context, 0, "", 1, 0);
}
LICENSE("GPL");
