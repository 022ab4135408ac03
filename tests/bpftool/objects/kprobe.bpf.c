#include "bpf.h"
SEC("kprobe/vfs_read") int enter(void *context)
{
	return get_current_pid_tgid() != 0;
}
LICENSE("GPL");
