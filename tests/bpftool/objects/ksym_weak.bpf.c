#include "bpf.h"
extern const void no_such_symbol __ksym __weak;
SEC("tc") int hit(void *context)
{
	return &no_such_symbol ? no_such_helper() : 0;
}
LICENSE("GPL");
