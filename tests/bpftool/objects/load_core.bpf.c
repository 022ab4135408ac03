#include "bpf.h"
/* facts of other sizes, kinds and sections than their instructions had */
struct task_struct___old {
	short pid;
	u64 tgid;
	int nothing_such;
} CORE;
struct list_head___mine {
	struct list_head___mine *next, *prev;
} CORE;
struct task_struct___mine {
	struct list_head___mine tasks;
	char comm[4];
} CORE;
enum bpf_map_type___mine { BPF_MAP_TYPE_RINGBUF___mine = 3 };
static __noinline int of_task(struct task_struct___mine *task)
{
	void *to;

	return probe_read_kernel(&to, sizeof(to), __builtin_preserve_access_index(&task->tasks.prev));
}
SEC("kprobe") int hit(void *context)
{
	struct task_struct___mine *task = (void *)get_current_task();
	struct task_struct___old *old = (void *)task;
	int sum = of_task(task);

	sum += __builtin_preserve_field_info(old->tgid, 1);
	sum += __builtin_preserve_field_info(task->comm, 1);
	if (__builtin_preserve_field_info(old->nothing_such, 2))
		sum += __builtin_preserve_field_info(old->nothing_such, 0);
	sum += __builtin_preserve_enum_value(*(enum bpf_map_type___mine *)BPF_MAP_TYPE_RINGBUF___mine, 1);
	sum += __builtin_preserve_type_info(*(struct list_head___mine *)0, 1);
	return sum;
}
LICENSE("GPL");
