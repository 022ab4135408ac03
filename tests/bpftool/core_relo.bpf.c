/*
 * Every kind of CO-RE relocation, and every rule by which a member is found. The types are our own, most of them of
 * another shape than the kernel's, so that nothing comes out right by itself. No verifier accepts this: one
 * instruction that is reached asks for what does not exist.
 *
 *   clang -target bpf -g -O2 -c core_relo.bpf.c
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next;
};

struct task_struct {
	int tgid, pid;
	char comm[8];
	u8 sched_reset_on_fork : 1; /* a bit field of another type and place */
	u8 in_execve : 2;
	long exit_code; /* int in the kernel */
	struct list_head tasks;
	struct task_struct *parent;
	int surely_not_there;
	u64 start_time;
};

struct task_struct___flavour {
	u64 start_time;
	struct {
		int pid;
	};
	u64 comm; /* not an integer in the kernel */
};

struct sk_buff {
	u32 len; /* the kernel nests some of these in unions and structs without a name */
	u16 protocol;
	u8 pkt_type : 3;
	void *dev;
	struct {
		union {
			u32 mark;
			u32 reserved_tailroom;
		};
	};
	u8 cb[48];
};

struct bpf_array {
	u32 elem_size;
	char value[0]; /* flexible, nested in a union in the kernel */
};

union bpf_attr {
	u32 map_type;
	struct {
		u32 prog_type;
	};
};

struct nobody_has_this {
	int it;
};

struct list_head___other {
	struct list_head___other *prev;
};

#pragma clang attribute pop

enum bpf_map_type {
	BPF_MAP_TYPE_UNSPEC = 100,
	BPF_MAP_TYPE_HASH = 3,
	BPF_MAP_TYPE_NOBODY_HAS_THIS = 7,
};

enum bpf_link_type___flavour {
	BPF_LINK_TYPE_XDP___flavour = 1,
};

enum hrtimer_restart { /* an enum without negative values in the kernel */
	HRTIMER_NORESTART = -5,
};

typedef int (*bpf_callback_t___flavour)(u64, u64, u64, u64, u64);
typedef u64 (*bpf_callback_t)(u64, u64, u64, u64, u64);
typedef unsigned int gfp_t;

enum { BYTE_OFFSET, BYTE_SIZE, EXISTS, SIGNED, LSHIFT, RSHIFT };
enum { ID_LOCAL, ID_TARGET };
enum { TYPE_EXISTS, TYPE_SIZE, TYPE_MATCHES };
enum { VALUE_EXISTS, VALUE };

/* each value leaves the program, or clang drops the question */
volatile u64 out;

#define ask(access, what) out = __builtin_preserve_field_info(access, what)
#define element(access)                                                                   \
	do {                                                                              \
		ask(access, BYTE_OFFSET);                                                 \
		ask(access, BYTE_SIZE);                                                   \
		ask(access, EXISTS);                                                      \
	} while (0)
#define pointer(access)                                                                   \
	do {                                                                              \
		element(access);                                                          \
		ask(access, LSHIFT);                                                      \
		ask(access, RSHIFT);                                                      \
	} while (0)
#define field(access)                                                                     \
	do {                                                                              \
		pointer(access);                                                          \
		ask(access, SIGNED);                                                      \
	} while (0)
#if __clang_major__ >= 15
#define match(T) out = __builtin_preserve_type_info(*(T *)0, TYPE_MATCHES)
#else
#define match(T)
#endif
#define type(T)                                                                           \
	do {                                                                              \
		out = __builtin_btf_type_id(*(T *)0, ID_LOCAL);                           \
		out = __builtin_btf_type_id(*(T *)0, ID_TARGET);                          \
		out = __builtin_preserve_type_info(*(T *)0, TYPE_EXISTS);                 \
		out = __builtin_preserve_type_info(*(T *)0, TYPE_SIZE);                   \
		match(T);                                                                 \
	} while (0)
#define value(T, name)                                                                    \
	do {                                                                              \
		out = __builtin_preserve_enum_value(*(T *)name, VALUE_EXISTS);            \
		out = __builtin_preserve_enum_value(*(T *)name, VALUE);                   \
	} while (0)

__attribute__((section("socket"), used)) int program(void *context)
{
	struct task_struct *task = context;
	struct task_struct___flavour *flavour = context;
	struct sk_buff *skb = context;
	struct bpf_array *array = context;
	union bpf_attr *attr = context;
	struct nobody_has_this *nobody = context;
	struct list_head___other *other = context;

	field(task->pid);
	field(task->sched_reset_on_fork);
	field(task->in_execve);
	field(task->exit_code);
	pointer(task->tasks.next);
	pointer(task->parent);
	field(task->start_time);
	field(task->surely_not_there);
	element(task->comm[3]);
	element(task[2].comm[7]);
	field(flavour->start_time);
	field(flavour->pid);
	field(flavour->comm);
	field(skb->len);
	field(skb->protocol);
	field(skb->pkt_type);
	pointer(skb->dev);
	field(skb->mark);
	field(skb->reserved_tailroom);
	element(skb->cb[40]);
	field(array->elem_size);
	element(array->value[9]);
	field(attr->map_type);
	field(attr->prog_type);
	field(nobody->it);
	pointer(other->prev);

	type(struct task_struct);
	type(struct task_struct___flavour);
	type(union bpf_attr);
	type(struct nobody_has_this);
	type(enum bpf_map_type);
	type(bpf_callback_t);
	type(bpf_callback_t___flavour);
	type(gfp_t);

	value(enum bpf_map_type, BPF_MAP_TYPE_UNSPEC);
	value(enum bpf_map_type, BPF_MAP_TYPE_HASH);
	value(enum bpf_map_type, BPF_MAP_TYPE_NOBODY_HAS_THIS);
	value(enum bpf_link_type___flavour, BPF_LINK_TYPE_XDP___flavour);
	value(enum hrtimer_restart, HRTIMER_NORESTART);

	/* loads, whose offset is relocated, and stores; sizes that differ */
	out = task->pid + skb->len + (u64)task->parent + task->start_time + task->comm[1];
	out = task->exit_code;
	task->tgid = 1;
	return 0;
}
