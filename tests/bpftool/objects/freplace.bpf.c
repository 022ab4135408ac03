#include "bpf.h"
SEC("freplace/handler") int instead(void *context)
{
	return 0;
}
LICENSE("GPL");
