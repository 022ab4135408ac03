#include "bpf.h"
SEC("syscall") int run(void *context)
{
	return 0;
}
LICENSE("GPL");
