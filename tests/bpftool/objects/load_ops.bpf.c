#include "bpf.h"
#include "tcp_ops.h"
/* two structs of functions in one section, which share functions */
SEC("struct_ops") u32 two(u64 *context)
{
	return 2;
}
SEC("struct_ops") u32 three(u64 *context)
{
	return 3;
}
SEC("struct_ops") void avoid(u64 *context)
{
}
SEC(".struct_ops") struct tcp_congestion_ops first = {
	.ssthresh = (void *)two, .undo_cwnd = (void *)three, .cong_avoid = (void *)avoid, .name = "first",
};
SEC(".struct_ops") struct tcp_congestion_ops another = {
	.ssthresh = (void *)two, .undo_cwnd = (void *)three, .cong_avoid = (void *)avoid, .name = "another",
};
LICENSE("GPL");
