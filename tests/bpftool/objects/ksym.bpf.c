#include "bpf.h"
extern const void bpf_prog_fops __ksym;
extern const int bpf_prog_active __ksym;
SEC("raw_tp") int hit(void *context)
{
	const int *active = this_cpu_ptr(&bpf_prog_active);

	return *active && &bpf_prog_fops != context;
}
LICENSE("GPL");
