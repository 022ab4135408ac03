#include "bpf.h"
SEC("socket") int filter(void *context)
{
	return no_such_helper();
}
LICENSE("GPL");
