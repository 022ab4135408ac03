#include "bpf.h"
/* a kernel's function that is called if it is there, and one of a module that may be */
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern int bpf_no_such_kfunc(int number) __ksym __weak;
extern const int bpf_no_such_variable __ksym __weak;
SEC("tc") int classify(void *context)
{
	int found = 0;

	bpf_rcu_read_lock();
	if (bpf_no_such_kfunc)
		found = bpf_no_such_kfunc(3);
	if (&bpf_no_such_variable)
		found += bpf_no_such_variable;
	bpf_rcu_read_unlock();
	return found;
}
LICENSE("GPL");
