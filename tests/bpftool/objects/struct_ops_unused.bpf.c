#include "bpf.h"
SEC("struct_ops/ssthresh") u32 ssthresh(u64 *context)
{
	return 2;
}
LICENSE("GPL");
