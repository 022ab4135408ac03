#include "bpf.h"
extern bool CONFIG_BPF_SYSCALL __kconfig;
extern int CONFIG_HZ __kconfig;
SEC("tc") int classify(void *context)
{
	return CONFIG_BPF_SYSCALL && CONFIG_HZ > 1;
}
LICENSE("GPL");
