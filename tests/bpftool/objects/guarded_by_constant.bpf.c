#include "bpf.h"
const volatile bool wanted = 0;
SEC("tc") int classify(void *context)
{
	return wanted ? no_such_helper() : 0;
}
LICENSE("GPL");
