#include "bpf.h"
extern int bpf_no_such_kfunc(void) __ksym __weak;
SEC("tc") int classify(void *context)
{
	return bpf_no_such_kfunc ? bpf_no_such_kfunc() : 0;
}
LICENSE("GPL");
