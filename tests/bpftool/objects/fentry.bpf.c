#include "bpf.h"
SEC("fentry/vfs_read") int enter(u64 *context)
{
	get_current_pid_tgid();
	return 0;
}
LICENSE("GPL");
