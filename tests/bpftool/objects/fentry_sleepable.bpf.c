#include "bpf.h"
SEC("fentry.s/bpf_fentry_test1") int enter(u64 *context)
{
	char text[4];

	copy_from_user(text, sizeof(text), 0);
	return 0;
}
LICENSE("GPL");
