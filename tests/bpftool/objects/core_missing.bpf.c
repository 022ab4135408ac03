#include "bpf.h"
struct task_struct {
	int surely_not_there;
} CORE;
SEC("raw_tp") int hit(void *context)
{
	struct task_struct *task = (void *)get_current_task();
	int pid = 0;

	probe_read(&pid, sizeof(pid), &task->surely_not_there);
	return pid;
}
LICENSE("GPL");
