#include "bpf.h"
struct task_struct {
	int surely_not_there;
} CORE;
SEC("tc") int hit(void *context)
{
	if (__builtin_preserve_field_info(((struct task_struct *)0)->surely_not_there, 2))
		return no_such_helper();
	return 0;
}
LICENSE("GPL");
