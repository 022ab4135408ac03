#include "bpf.h"
struct sock;
extern u32 tcp_reno_ssthresh(struct sock *sk) __ksym;
SEC("tc") int classify(void *context)
{
	return tcp_reno_ssthresh(context);
}
LICENSE("GPL");
