#include "bpf.h"
extern u8 LINUX_KERNEL_VERSION __kconfig;
SEC("tc") int classify(void *context)
{
	return LINUX_KERNEL_VERSION;
}
LICENSE("GPL");
