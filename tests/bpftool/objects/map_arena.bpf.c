#include "bpf.h"
struct {
	__uint(type, 33);
	__uint(map_flags, 0x400);
	__uint(max_entries, 100);
} arena SEC(".maps");
SEC("syscall") int run(void *context)
{
	return 0;
}
LICENSE("GPL");
