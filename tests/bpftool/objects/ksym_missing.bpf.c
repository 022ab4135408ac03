#include "bpf.h"
extern const void no_such_symbol __ksym;
SEC("raw_tp") int hit(void *context)
{
	return (long)&no_such_symbol == 1;
}
LICENSE("GPL");
