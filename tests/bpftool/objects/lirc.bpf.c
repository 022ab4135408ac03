#include "bpf.h"
SEC("lirc_mode2") int key(void *context)
{
	return 0;
}
LICENSE("GPL");
