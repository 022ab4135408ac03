#include "bpf.h"
extern int bpf_rcu_read_lock(int other) __ksym;
SEC("tc") int classify(void *context)
{
	return bpf_rcu_read_lock(1);
}
LICENSE("GPL");
