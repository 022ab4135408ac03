#include "bpf.h"
#define MAP(kind, name)                    \
	struct {                           \
		__uint(type, kind);        \
		__uint(max_entries, 1024); \
		__type(key, u32);          \
		__type(value, u64);        \
	} name SEC(".maps")
MAP(1, hash);
MAP(2, array);
MAP(5, percpu_hash);
MAP(6, percpu_array);
MAP(9, lru_hash);
MAP(10, lru_percpu_hash);
int variable = 3;
SEC("socket") int filter(void *context)
{
	u32 key = variable;
	u64 *value = map_lookup_elem(&hash, &key);

	return value && *value;
}
LICENSE("GPL");
