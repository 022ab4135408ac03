#include "bpf.h"
SEC("no_such_section") int what(void *context)
{
	return 0;
}
LICENSE("GPL");
