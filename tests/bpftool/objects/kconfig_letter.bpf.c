#include "bpf.h"
/* a letter is the option's own, as y or m; a number is read where there is one */
extern char CONFIG_BPF_SYSCALL __kconfig;
extern char CONFIG_LOG_BUF_SHIFT __kconfig;
SEC("tc") int classify(void *context)
{
	return CONFIG_BPF_SYSCALL + CONFIG_LOG_BUF_SHIFT;
}
LICENSE("GPL");
