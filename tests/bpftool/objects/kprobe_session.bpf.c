#include "bpf.h"
SEC("kprobe.session/vfs_*") int both(void *context)
{
	return 0;
}
LICENSE("GPL");
