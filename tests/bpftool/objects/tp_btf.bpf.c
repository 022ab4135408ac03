#include "bpf.h"
SEC("tp_btf/sched_switch") int switched(u64 *context)
{
	return 0;
}
LICENSE("GPL");
