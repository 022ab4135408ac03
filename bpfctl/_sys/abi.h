/*
 * The kernel structures that this program sends, and the functions of core.c.
 *
 * bpf(2) takes one large union; here each command has a structure of its own,
 * which holds the members that the command uses (include/uapi/linux/bpf.h,
 * union bpf_attr).  The size passed to the kernel is the size of the
 * structure: an older kernel answers E2BIG only if a field that it does not
 * know is not zero, a newer one reads what is missing as zero.
 *
 * Both cffi and the C compiler read this file, so it has no preprocessor lines.
 */

struct bpf_map_create_attr {
	uint32_t map_type;
	uint32_t key_size;
	uint32_t value_size;
	uint32_t max_entries;
	uint32_t map_flags;
	uint32_t inner_map_fd;
	uint32_t numa_node;
	char map_name[16];
	uint32_t map_ifindex;
	uint32_t btf_fd;
	uint32_t btf_key_type_id;
	uint32_t btf_value_type_id;
	uint32_t btf_vmlinux_value_type_id;
	uint64_t map_extra;
	int32_t value_type_btf_obj_fd;
	int32_t map_token_fd;
};

struct bpf_map_elem_attr {
	uint32_t map_fd;
	uint32_t pad;
	uint64_t key;
	uint64_t value;
	uint64_t flags;
};

struct bpf_map_batch_attr {
	uint64_t in_batch;
	uint64_t out_batch;
	uint64_t keys;
	uint64_t values;
	uint32_t count;
	uint32_t map_fd;
	uint64_t elem_flags;
	uint64_t flags;
};

struct bpf_prog_load_attr {
	uint32_t prog_type;
	uint32_t insn_cnt;
	uint64_t insns;
	uint64_t license;
	uint32_t log_level;
	uint32_t log_size;
	uint64_t log_buf;
	uint32_t kern_version;
	uint32_t prog_flags;
	char prog_name[16];
	uint32_t prog_ifindex;
	uint32_t expected_attach_type;
	uint32_t prog_btf_fd;
	uint32_t func_info_rec_size;
	uint64_t func_info;
	uint32_t func_info_cnt;
	uint32_t line_info_rec_size;
	uint64_t line_info;
	uint32_t line_info_cnt;
	uint32_t attach_btf_id;
	uint32_t attach_fd;
	uint32_t core_relo_cnt;
	uint64_t fd_array;
	uint64_t core_relos;
	uint32_t core_relo_rec_size;
	uint32_t log_true_size;
	int32_t prog_token_fd;
	uint32_t fd_array_cnt;
};

struct bpf_obj_attr {
	uint64_t pathname;
	uint32_t bpf_fd;
	uint32_t file_flags;
	int32_t path_fd;
};

struct bpf_prog_attach_attr {
	uint32_t target_fd;
	uint32_t attach_bpf_fd;
	uint32_t attach_type;
	uint32_t attach_flags;
	uint32_t replace_bpf_fd;
	uint32_t relative_fd;
	uint64_t expected_revision;
};

struct bpf_test_run_attr {
	uint32_t prog_fd;
	uint32_t retval;
	uint32_t data_size_in;
	uint32_t data_size_out;
	uint64_t data_in;
	uint64_t data_out;
	uint32_t repeat;
	uint32_t duration;
	uint32_t ctx_size_in;
	uint32_t ctx_size_out;
	uint64_t ctx_in;
	uint64_t ctx_out;
	uint32_t flags;
	uint32_t cpu;
	uint32_t batch_size;
};

struct bpf_id_attr {
	uint32_t id;
	uint32_t next_id;
	uint32_t open_flags;
	int32_t token_fd;
};

struct bpf_info_attr {
	uint32_t bpf_fd;
	uint32_t info_len;
	uint64_t info;
};

struct bpf_prog_query_attr {
	uint32_t target_fd;
	uint32_t attach_type;
	uint32_t query_flags;
	uint32_t attach_flags;
	uint64_t prog_ids;
	uint32_t count;
	uint32_t pad;
	uint64_t prog_attach_flags;
	uint64_t link_ids;
	uint64_t link_attach_flags;
	uint64_t revision;
};

struct bpf_raw_tracepoint_attr {
	uint64_t name;
	uint32_t prog_fd;
	uint32_t pad;
	uint64_t cookie;
};

struct bpf_btf_load_attr {
	uint64_t btf;
	uint64_t btf_log_buf;
	uint32_t btf_size;
	uint32_t btf_log_size;
	uint32_t btf_log_level;
	uint32_t btf_log_true_size;
	uint32_t btf_flags;
	int32_t btf_token_fd;
};

struct bpf_task_fd_query_attr {
	uint32_t pid;
	uint32_t fd;
	uint32_t flags;
	uint32_t buf_len;
	uint64_t buf;
	uint32_t prog_id;
	uint32_t fd_type;
	uint64_t probe_offset;
	uint64_t probe_addr;
};

/* The first four words are common to all links; the rest depends on the attach type. */
struct bpf_link_create_attr {
	uint32_t prog_fd;
	uint32_t target_fd;
	uint32_t attach_type;
	uint32_t flags;
	uint8_t extra[48];
};

struct bpf_link_detach_attr {
	uint32_t link_fd;
};

struct bpf_enable_stats_attr {
	uint32_t type;
};

struct bpf_iter_create_attr {
	uint32_t link_fd;
	uint32_t flags;
};

struct bpf_prog_bind_map_attr {
	uint32_t prog_fd;
	uint32_t map_fd;
	uint32_t flags;
};

struct bpf_stream_read_attr {
	uint64_t stream_buf;
	uint32_t stream_buf_len;
	uint32_t stream_id;
	uint32_t prog_fd;
};

/* include/uapi/linux/perf_event.h, struct perf_event_attr, PERF_ATTR_SIZE_VER8 */
struct bpfctl_perf_attr {
	uint32_t type;
	uint32_t size;
	uint64_t config;
	uint64_t sample_period;
	uint64_t sample_type;
	uint64_t read_format;
	uint64_t flags;
	uint32_t wakeup_events;
	uint32_t bp_type;
	uint64_t config1;
	uint64_t config2;
	uint64_t branch_sample_type;
	uint64_t sample_regs_user;
	uint32_t sample_stack_user;
	int32_t clockid;
	uint64_t sample_regs_intr;
	uint32_t aux_watermark;
	uint16_t sample_max_stack;
	uint16_t reserved_2;
	uint32_t aux_sample_size;
	uint32_t aux_action;
	uint64_t sig_data;
	uint64_t config3;
};

/* A file descriptor or a result on success, the negated errno on failure. */
long bpfctl_bpf(int cmd, void *attr, unsigned int size);
long bpfctl_perf_event_open(struct bpfctl_perf_attr *attr, int pid, int cpu, int group_fd, unsigned long flags);
long bpfctl_ioctl(int fd, unsigned long request, unsigned long argument);
/* Requests of perf events, whose numbers are others on powerpc, MIPS and SPARC. */
extern const unsigned long bpfctl_perf_ioc_enable;
extern const unsigned long bpfctl_perf_ioc_disable;
extern const unsigned long bpfctl_perf_ioc_set_bpf;
long bpfctl_mount_bpffs(const char *folder);
long bpfctl_fs_type(const char *path);
long bpfctl_unmount(const char *folder);
long bpfctl_detached_mount(const char *type);
/* 1 when two tasks share their table of open files, 0 when not. */
long bpfctl_same_files(int pid, int other);

/* Reads the effective capabilities of this thread, or sets them to the given ones. */
long bpfctl_effective_capabilities(uint64_t *capabilities, int set);

/* Lists the active security modules by their numbers (Linux 6.8); the size is in bytes, and becomes that of all. */
long bpfctl_security_modules(uint64_t *ids, uint32_t *size);

/* The kernel's answer to one of many loads: 0 or a negated errno, and which phrase its log has. */
struct bpfctl_verdict {
	int32_t rc;
	int32_t said; /* 0: the log is empty; n: the n-th phrase is in it; -1: something else is */
};

/*
 * Loads a program for each of the numbers, which goes to *imm in its code, and closes it at once.
 * The log of attr must have room; phrases end with NULL.
 */
void bpfctl_load_each(struct bpf_prog_load_attr *attr, int32_t *imm, const int32_t *numbers, size_t count,
		      const char *const *phrases, struct bpfctl_verdict *verdicts);

/* consumer_pos and producer_pos are of the kernel's type unsigned long. */
struct bpfctl_ring {
	uint64_t *consumer_pos;
	uint64_t *producer_pos;
	uint8_t *data;
	uint64_t mask;
	uint64_t page;
	uint64_t at;
	uint64_t discarded;
	uint64_t missed;
	uint64_t moved;
};

struct bpfctl_perf {
	void *page;
	uint64_t data_offset;
	uint64_t mask;
	uint64_t length;
};

/* Where records are copied to: their bytes into out, where each begins and ends into spans. */
struct bpfctl_batch {
	uint8_t *out;
	size_t room;
	uint32_t *spans;
	size_t most;
	size_t used;
};

int bpfctl_ring_map(struct bpfctl_ring *ring, int map_fd, uint64_t size, int looks_on);
long bpfctl_ring_take(struct bpfctl_ring *ring, struct bpfctl_batch *batch);
long bpfctl_ring_watch(struct bpfctl_ring *ring, struct bpfctl_batch *batch);
uint64_t bpfctl_ring_consumer(struct bpfctl_ring *ring);
uint64_t bpfctl_ring_producer(struct bpfctl_ring *ring);
void bpfctl_ring_unmap(struct bpfctl_ring *ring);
int bpfctl_perf_map(struct bpfctl_perf *perf, int fd, uint64_t size);
uint64_t bpfctl_perf_behind(struct bpfctl_perf *perf);
long bpfctl_perf_take(struct bpfctl_perf *perf, struct bpfctl_batch *batch);
void bpfctl_perf_unmap(struct bpfctl_perf *perf);
