#include "bpf.h"
struct no_such_ops {
	u32 (*first)(u64 *context);
};
SEC("struct_ops/first") u32 first(u64 *context)
{
	return 2;
}
SEC(".struct_ops")
struct no_such_ops ours = {
	.first = (void *)first,
};
LICENSE("GPL");
