#include "bpf.h"
extern bool CONFIG_NO_SUCH_OPTION __kconfig __weak;
SEC("tc") int classify(void *context)
{
	return CONFIG_NO_SUCH_OPTION ? no_such_helper() : 0;
}
LICENSE("GPL");
