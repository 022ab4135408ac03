#include "bpf.h"
struct tcp_congestion_ops {
	u32 (*ssthresh)(u64 *sk);
	u32 (*undo_cwnd)(u64 *sk);
	void (*cong_avoid)(u64 *sk, u32 ack, u32 acked);
	void (*no_such_member)(u64 *sk);
	char name[16];
};
SEC("struct_ops/no_such_member") void extra(u64 *context)
{
}
SEC(".struct_ops")
struct tcp_congestion_ops ours = {
	.no_such_member = (void *)extra,
	.name = "ours",
};
LICENSE("GPL");
