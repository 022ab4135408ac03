#include "bpf.h"
/* what a program would need that is not loaded unless asked for: a member that is too far off, and one that is not there */
struct pglist_data {
	int nr_zones;
} CORE;
struct list_head {
	int surely_not_there;
} CORE;
SEC("tc") int classify(void *context)
{
	return 0;
}
SEC("?xdp") int optional(void **context)
{
	struct pglist_data *node;
	struct list_head *list;

	probe_read_kernel(&node, sizeof(node), context);
	probe_read_kernel(&list, sizeof(list), context);
	return node->nr_zones + list->surely_not_there;
}
LICENSE("GPL");
