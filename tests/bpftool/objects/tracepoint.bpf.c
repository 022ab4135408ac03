#include "bpf.h"
SEC("tp/sched/sched_switch") int switched(void *context)
{
	return 0;
}
LICENSE("GPL");
