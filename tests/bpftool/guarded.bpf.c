/*
 * Programs that use what no kernel has, most of them behind a question for it; one for each number that PROGRAM may be.
 * What they ask for are numbers, so that the verifier has nothing else against them.
 *
 *   clang -target bpf -g -O2 -DPROGRAM=0 -c guarded.bpf.c
 */
typedef unsigned long long u64;

struct task_struct {
	int pid;
	int surely_not_there;
	int nor_this;
} __attribute__((preserve_access_index));

struct nobody_has_this {
	int it;
} __attribute__((preserve_access_index));

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_NOBODY_HAS_THIS = 7,
};

enum { BYTE_OFFSET, BYTE_SIZE, EXISTS };

#define offset(access) __builtin_preserve_field_info(access, BYTE_OFFSET)
#define exists(access) __builtin_preserve_field_info(access, EXISTS)
#define type_exists(T) __builtin_preserve_type_info(*(T *)0, 0)
#define value_exists(name) __builtin_preserve_enum_value(*(enum bpf_map_type *)name, 0)
#define value(name) __builtin_preserve_enum_value(*(enum bpf_map_type *)name, 1)

#define task ((struct task_struct *)context)
#define nobody ((struct nobody_has_this *)context)

/* the return value is no constant, or clang would leave the questions to nobody */
static u64 (*random)(void) = (void *)7;

static __attribute__((noinline)) u64 elsewhere(void *context)
{
	return random() + offset(task->surely_not_there);
}

static __attribute__((noinline)) u64 both(void *context, u64 there)
{
	return there ? offset(task->pid) + random() : random();
}

__attribute__((section("socket"), used)) int program(void *context)
{
	u64 sum = random();

#if PROGRAM == 0 /* fine everywhere */
	sum += offset(task->pid) + both(context, sum);
#elif PROGRAM == 1 /* no question */
	sum += offset(task->surely_not_there);
#elif PROGRAM == 2
	if (exists(task->surely_not_there))
		sum += offset(task->surely_not_there);
#elif PROGRAM == 3 /* the wrong way round */
	if (!exists(task->surely_not_there))
		sum += offset(task->surely_not_there);
#elif PROGRAM == 4 /* asks for the other one */
	if (exists(task->pid))
		sum += offset(task->surely_not_there);
#elif PROGRAM == 5
	if (type_exists(struct nobody_has_this))
		sum += offset(nobody->it);
#elif PROGRAM == 6
	if (value_exists(BPF_MAP_TYPE_NOBODY_HAS_THIS))
		sum += value(BPF_MAP_TYPE_NOBODY_HAS_THIS);
#elif PROGRAM == 7 /* in a function that nobody then calls */
	if (exists(task->surely_not_there))
		sum += elsewhere(context);
#elif PROGRAM == 8
	sum += elsewhere(context);
#elif PROGRAM == 9 /* two questions, and something that only the run can tell */
	if (exists(task->pid) && sum & 1 && exists(task->surely_not_there))
		sum += offset(task->surely_not_there);
#elif PROGRAM == 10
	if (exists(task->nor_this) || exists(task->surely_not_there))
		sum += offset(task->surely_not_there);
#elif PROGRAM == 11
	if (exists(task->nor_this) || exists(task->pid))
		sum += offset(task->surely_not_there);
#elif PROGRAM == 12 /* one way of two */
	sum += exists(task->nor_this) ? offset(task->nor_this) : exists(task->pid) ? offset(task->pid) : 0;
#elif PROGRAM == 13 /* on the way through a loop */
	for (int i = 0; i < 4; i++) {
		sum += random();
		if (exists(task->surely_not_there))
			sum += offset(task->surely_not_there);
	}
#endif
	return sum;
}
