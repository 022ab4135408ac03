#include "bpf.h"
extern bool CONFIG_HZ __kconfig;
SEC("tc") int classify(void *context)
{
	return CONFIG_HZ;
}
LICENSE("GPL");
