#include "bpf.h"
SEC("iter/task") int each(u64 *context)
{
	return 0;
}
LICENSE("GPL");
