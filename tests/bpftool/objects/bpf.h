/* What the objects of this folder have in common; no kernel's headers are needed. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef _Bool bool;

#define SEC(name) __attribute__((section(name), used))
#define __ksym __attribute__((section(".ksyms")))
#define __kconfig __attribute__((section(".kconfig")))
#define __weak __attribute__((weak))
#define __noinline __attribute__((noinline))
#define __always_inline inline __attribute__((always_inline))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define CORE __attribute__((preserve_access_index))
#define LICENSE(text) char _license[] SEC("license") = text

/* helpers by their numbers in enum bpf_func_id */
static void *(*map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*probe_read)(void *to, u32 size, const void *from) = (void *)4;
static u64 (*ktime_get_ns)(void) = (void *)5;
static long (*trace_printk)(const char *text, u32 size, ...) = (void *)6;
static long (*skb_store_bytes)(void *skb, u32 at, const void *from, u32 size, u64 flags) = (void *)9;
static long (*tail_call)(void *context, void *map, u32 index) = (void *)12;
static u64 (*get_current_pid_tgid)(void) = (void *)14;
static u64 (*get_current_task)(void) = (void *)35;
static long (*perf_event_output)(void *context, void *map, u64 flags, void *data, u64 size) = (void *)25;
static long (*spin_lock)(void *lock) = (void *)93;
static long (*spin_unlock)(void *lock) = (void *)94;
static void *(*ringbuf_reserve)(void *map, u64 size, u64 flags) = (void *)131;
static void (*ringbuf_submit)(void *data, u64 flags) = (void *)132;
static long (*copy_from_user)(void *to, u32 size, const void *from) = (void *)148;
static long (*timer_init)(void *timer, void *map, u64 flags) = (void *)169;
static const void *(*this_cpu_ptr)(const void *variable) = (void *)154;
static long (*probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static u64 (*get_attach_cookie)(void *context) = (void *)174;
static long (*loop)(u32 times, void *callback, void *context, u64 flags) = (void *)181;
static long (*no_such_helper)(void) = (void *)9999;
