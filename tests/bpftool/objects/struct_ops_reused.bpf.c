#include "bpf.h"
#include "tcp_ops.h"
SEC("struct_ops") u32 two(u64 *context)
{
	return 2;
}
SEC("struct_ops") void avoid(u64 *context)
{
}
SEC(".struct_ops") struct tcp_congestion_ops ours = {
	.ssthresh = (void *)two, .undo_cwnd = (void *)two, .cong_avoid = (void *)avoid, .name = "ours",
};
LICENSE("GPL");
