#include "bpf.h"
enum libbpf_tristate { TRI_NO, TRI_YES, TRI_MODULE };
extern u32 LINUX_KERNEL_VERSION __kconfig;
extern bool LINUX_HAS_BPF_COOKIE __kconfig;
extern bool LINUX_HAS_SYSCALL_WRAPPER __kconfig;
extern bool CONFIG_BPF_SYSCALL __kconfig;
extern enum libbpf_tristate CONFIG_BPF __kconfig;
extern char CONFIG_CC_VERSION_TEXT[12] __kconfig;
extern u64 CONFIG_HZ __kconfig;
SEC("tc") int classify(void *context)
{
	return LINUX_KERNEL_VERSION + LINUX_HAS_BPF_COOKIE + LINUX_HAS_SYSCALL_WRAPPER + CONFIG_BPF_SYSCALL + CONFIG_BPF
		+ CONFIG_CC_VERSION_TEXT[1] + CONFIG_HZ;
}
LICENSE("GPL");
