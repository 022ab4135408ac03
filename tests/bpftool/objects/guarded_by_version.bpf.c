#include "bpf.h"
extern int LINUX_KERNEL_VERSION __kconfig;
SEC("tc") int classify(void *context)
{
	return LINUX_KERNEL_VERSION > (99 << 16) ? no_such_helper() : 0;
}
LICENSE("GPL");
