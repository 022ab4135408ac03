#include "bpf.h"
SEC("fmod_ret/vfs_read") int refuse(u64 *context)
{
	return 0;
}
LICENSE("GPL");
