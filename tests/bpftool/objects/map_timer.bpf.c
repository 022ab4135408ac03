#include "bpf.h"
struct bpf_timer {
	u64 opaque[2];
} __attribute__((aligned(8)));
struct value {
	struct bpf_timer timer;
};
struct {
	__uint(type, 2);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct value);
} timers SEC(".maps");
SEC("tc") int classify(void *context)
{
	u32 key = 0;
	struct value *value = map_lookup_elem(&timers, &key);

	return value ? timer_init(&value->timer, &timers, 1) : 0;
}
LICENSE("GPL");
