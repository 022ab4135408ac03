#include "bpf.h"
SEC("kprobe.multi/vfs_*") int enter(void *context)
{
	return get_attach_cookie(context) != 0;
}
LICENSE("GPL");
