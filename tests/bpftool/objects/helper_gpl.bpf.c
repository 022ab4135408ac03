#include "bpf.h"
SEC("kprobe") int enter(void *context)
{
	u64 to;

	return probe_read(&to, sizeof(to), 0);
}
LICENSE("Apache-2.0");
