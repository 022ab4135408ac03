#include "bpf.h"
SEC("uprobe.s") int enter(void *context)
{
	char text[4];

	return copy_from_user(text, sizeof(text), 0);
}
LICENSE("GPL");
