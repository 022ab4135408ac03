#include "bpf.h"
extern bool CONFIG_LOG_BUF_SHIFT __kconfig __weak;
SEC("tc") int classify(void *context)
{
	return CONFIG_LOG_BUF_SHIFT;
}
LICENSE("GPL");
