#include "bpf.h"
SEC("fentry/no_such_function") int enter(u64 *context)
{
	return 0;
}
LICENSE("GPL");
