#include "bpf.h"
#include "tcp_ops.h"
#ifndef OURS
#define OURS ".struct_ops"
#endif
SEC("struct_ops/ssthresh") u32 ssthresh(u64 *context)
{
	return 2;
}
SEC("struct_ops/undo_cwnd") u32 undo_cwnd(u64 *context)
{
	return 2;
}
SEC("struct_ops/cong_avoid") void cong_avoid(u64 *context)
{
}
SEC(OURS)
struct tcp_congestion_ops ours = {
	.ssthresh = (void *)ssthresh,
	.undo_cwnd = (void *)undo_cwnd,
	.cong_avoid = (void *)cong_avoid,
	.name = "ours",
};
LICENSE("GPL");
