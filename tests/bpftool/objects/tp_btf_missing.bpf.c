#include "bpf.h"
SEC("tp_btf/no_such_tracepoint") int never(u64 *context)
{
	return 0;
}
LICENSE("GPL");
