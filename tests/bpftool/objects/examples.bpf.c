#include "bpf.h"
/* what the examples of bpfctl's help speak of */
enum state { NEW, OPEN, CLOSED };
struct traffic {
	u64 packets;
	u64 bytes;
	enum state state;
};
struct event {
	u32 address;
	u32 bytes;
};
struct network {
	u32 bits;
	u8 address[4];
};
struct task_struct {
	int pid;
} CORE;
struct xdp_md {
	u32 data, data_end;
};
struct {
	__uint(type, 1);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, struct traffic);
} flows SEC(".maps"), spare SEC(".maps"), settled SEC(".maps");
struct {
	__uint(type, 11);
	__uint(max_entries, 64);
	__uint(map_flags, 1);
	__type(key, struct network);
	__type(value, u32);
} blocked SEC(".maps");
struct {
	__uint(type, 22);
	__uint(max_entries, 16);
	__type(value, u32);
} jobs SEC(".maps");
struct {
	__uint(type, 27);
	__uint(max_entries, 1 << 16);
} events SEC(".maps");
struct {
	__uint(type, 4);
	__uint(key_size, 4);
	__uint(value_size, 4);
} samples SEC(".maps");
struct {
	__uint(type, 15);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__uint(value_size, 4);
} sockets SEC(".maps");

/* whoever reads the ring buffer asks for this type, which clang leaves out where no variable has it */
const struct event *shown;

SEC("xdp") int count_packets(struct xdp_md *context)
{
	static const char text[] = "packet";
	u32 address = 0x0100000a; /* 10.0.0.1 in network order, on a little-endian machine */
	struct event *event = ringbuf_reserve(&events, sizeof(*event), 0);
	struct event sample = {address, 64};
	struct traffic *traffic = map_lookup_elem(&flows, &address);

	if (event) {
		*event = sample;
		ringbuf_submit(event, 0);
	}
	if (traffic) {
		traffic->packets += 1;
		traffic->bytes += 64;
	}
	perf_event_output(context, &samples, 0xffffffff, &sample, sizeof(sample));
	trace_printk(text, sizeof(text));
	return 2;
}
SEC("xdp") int drop_packets(struct xdp_md *context)
{
	struct traffic nothing = {};
	u32 address = 1;

	map_update_elem(&spare, &address, &nothing, 0);
	map_update_elem(&settled, &address, &nothing, 0);
	map_update_elem(&blocked, &address, &nothing, 0);
	return 1;
}
SEC("cgroup_skb/ingress") int count_ingress(void *context)
{
	return 1;
}
SEC("sk_msg") int check_messages(void *context)
{
	return 1;
}
SEC("raw_tp/sched_process_exec") int on_exec(void *context)
{
	struct task_struct *task = (void *)get_current_task();
	int pid = 0;

	probe_read_kernel(&pid, sizeof(pid), &task->pid);
	return pid;
}
LICENSE("GPL");
