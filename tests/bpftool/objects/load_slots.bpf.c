#include "bpf.h"
/* maps that begin with maps and programs in them */
SEC("tc") int first(void *context)
{
	return 1;
}
SEC("tc") int second(void *context)
{
	return 2;
}
struct inner {
	__uint(type, 2);
	__uint(max_entries, 3);
	__type(key, u32);
	__type(value, u64);
} inside SEC(".maps");
struct {
	__uint(type, 12);
	__uint(max_entries, 4);
	__type(key, u32);
	__array(values, struct inner);
} outer SEC(".maps") = {
	.values = {[2] = &inside},
};
struct {
	__uint(type, 3);
	__uint(max_entries, 3);
	__uint(key_size, 4);
	__array(values, int(void *));
} programs SEC(".maps") = {
	.values = {[0] = (void *)&second, [2] = (void *)&first},
};
SEC("tc") int third(void *context)
{
	u32 key = 2;

	tail_call(context, &programs, key);
	return map_lookup_elem(&outer, &key) != 0;
}
LICENSE("GPL");
