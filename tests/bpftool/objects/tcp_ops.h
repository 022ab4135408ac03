/* as far as it is used here; the kernel's has more */
struct tcp_congestion_ops {
	u32 (*ssthresh)(u64 *sk);
	u32 (*undo_cwnd)(u64 *sk);
	void (*cong_avoid)(u64 *sk, u32 ack, u32 acked);
	char name[16];
};
