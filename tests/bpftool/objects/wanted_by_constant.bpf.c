#include "bpf.h"
const volatile bool wanted = 1;
SEC("tc") int classify(void *context)
{
	return wanted ? no_such_helper() : 0;
}
LICENSE("GPL");
