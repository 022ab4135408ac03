#include "bpf.h"
struct {
	__uint(type, 27);
	__uint(max_entries, 5000); /* a loader makes two pages of it */
} ring SEC(".maps");
struct {
	__uint(type, 31);
	__uint(max_entries, 4096);
} from_user SEC(".maps");
struct {
	__uint(type, 4);
	__uint(key_size, 4);
	__uint(value_size, 4);
} events SEC(".maps"); /* a loader makes an entry for each CPU */
SEC("tc") int classify(void *context)
{
	u64 *record = ringbuf_reserve(&ring, sizeof(*record), 0);

	if (record)
		ringbuf_submit(record, 0);
	return 0;
}
LICENSE("GPL");
