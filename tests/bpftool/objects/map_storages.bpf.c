#include "bpf.h"
#define STORAGE(kind, name)              \
	struct {                         \
		__uint(type, kind);      \
		__uint(map_flags, 1);    \
		__type(key, int);        \
		__type(value, u64);      \
	} name SEC(".maps")
STORAGE(24, of_socket);
STORAGE(28, of_inode);
STORAGE(29, of_task);
STORAGE(32, of_cgroup);
SEC("socket") int filter(void *context)
{
	return 0;
}
LICENSE("GPL");
