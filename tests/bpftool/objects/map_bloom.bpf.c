#include "bpf.h"
struct {
	__uint(type, 30);
	__uint(max_entries, 100);
	__type(value, u32);
	__uint(map_extra, 3);
} filter SEC(".maps");
struct {
	__uint(type, 22);
	__uint(max_entries, 10);
	__type(value, u32);
} queue SEC(".maps");
SEC("socket") int filter_(void *context)
{
	return 0;
}
LICENSE("GPL");
