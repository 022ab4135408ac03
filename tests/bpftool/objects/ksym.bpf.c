#include "bpf.h"
extern const void bpf_prog_fops __ksym;
extern const int bpf_prog_active __ksym;
SEC("raw_tp") int hit(void *context)
{
	return (long)&bpf_prog_fops + (long)&bpf_prog_active != 0;
}
LICENSE("GPL");
