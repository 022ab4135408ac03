#include "bpf.h"
extern int CONFIG_NO_SUCH_OPTION __kconfig;
SEC("tc") int classify(void *context)
{
	return CONFIG_NO_SUCH_OPTION;
}
LICENSE("GPL");
