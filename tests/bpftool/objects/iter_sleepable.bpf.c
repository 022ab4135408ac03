#include "bpf.h"
SEC("iter.s/task") int each(u64 *context)
{
	return 0;
}
LICENSE("GPL");
