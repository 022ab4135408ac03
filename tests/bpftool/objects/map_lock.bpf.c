#include "bpf.h"
struct bpf_spin_lock {
	u32 val;
};
struct value {
	struct bpf_spin_lock lock;
	int count;
};
struct {
	__uint(type, 1);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct value);
} counts SEC(".maps");
SEC("tc") int classify(void *context)
{
	u32 key = 0;
	struct value *value = map_lookup_elem(&counts, &key);

	if (value) {
		spin_lock(&value->lock);
		value->count++;
		spin_unlock(&value->lock);
	}
	return 0;
}
LICENSE("GPL");
