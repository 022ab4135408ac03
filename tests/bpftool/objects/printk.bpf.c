#include "bpf.h"
SEC("tc") int classify(void *context)
{
	static const char text[] = "%d";

	return trace_printk(text, sizeof(text), 1) > 0;
}
LICENSE("GPL");
