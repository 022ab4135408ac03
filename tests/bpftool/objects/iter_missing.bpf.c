#include "bpf.h"
SEC("iter/no_such_thing") int each(u64 *context)
{
	return 0;
}
LICENSE("GPL");
