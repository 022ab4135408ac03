// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * System calls that Python has no door to, and the two shared-memory rings,
 * whose positions need acquire and release ordering that Python cannot express.
 * Nothing here decides anything: answers go up as they come.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <linux/kcmp.h>
#include <linux/perf_event.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi.h"

#define load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

#ifndef __NR_bpf
#error "bpf(2) has no number in the headers of this system"
#endif

#ifndef __NR_lsm_list_modules
#define __NR_lsm_list_modules 461 /* younger than the headers of this system; the same everywhere but on alpha */
#endif

long bpfctl_bpf(int cmd, void *attr, unsigned int size)
{
	long rc = syscall(__NR_bpf, cmd, attr, size);
	return rc < 0 ? -errno : rc;
}

long bpfctl_perf_event_open(struct bpfctl_perf_attr *attr, int pid, int cpu, int group_fd,
			    unsigned long flags)
{
	long rc = syscall(__NR_perf_event_open, attr, pid, cpu, group_fd, flags);
	return rc < 0 ? -errno : rc;
}

long bpfctl_ioctl(int fd, unsigned long request, unsigned long argument)
{
	long rc = ioctl(fd, request, argument);
	return rc < 0 ? -errno : rc;
}

const unsigned long bpfctl_perf_ioc_enable = PERF_EVENT_IOC_ENABLE;
const unsigned long bpfctl_perf_ioc_disable = PERF_EVENT_IOC_DISABLE;
const unsigned long bpfctl_perf_ioc_set_bpf = PERF_EVENT_IOC_SET_BPF;

long bpfctl_same_files(int pid, int other)
{
	long rc = syscall(__NR_kcmp, pid, other, KCMP_FILES, 0, 0);
	return rc < 0 ? -errno : rc == 0;
}

long bpfctl_security_modules(uint64_t *ids, uint32_t *size)
{
	long rc = syscall(__NR_lsm_list_modules, ids, size, 0);
	return rc < 0 ? -errno : rc;
}

long bpfctl_effective_capabilities(uint64_t *capabilities, int set)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &head, data))
		return -errno;
	if (set) {
		data[0].effective = *capabilities;
		data[1].effective = *capabilities >> 32;
		return syscall(SYS_capset, &head, data) ? -errno : 0;
	}
	*capabilities = data[0].effective | (uint64_t)data[1].effective << 32;
	return 0;
}

void bpfctl_load_each(struct bpf_prog_load_attr *attr, int32_t *imm, const int32_t *numbers, size_t count,
		      const char *const *phrases, struct bpfctl_verdict *verdicts)
{
	enum { prog_load = 5, tries = 5 };
	char *log = (char *)(uintptr_t)attr->log_buf;

	for (size_t at = 0; at < count; at++) {
		int left = tries;
		long rc;

		*imm = numbers[at];
		do {
			*log = '\0';
			rc = bpfctl_bpf(prog_load, attr, sizeof(*attr));
		} while ((rc == -EAGAIN || rc == -EINTR) && left--); /* a signal came meanwhile */
		if (rc >= 0)
			close(rc);
		verdicts[at].rc = rc < 0 ? rc : 0;
		verdicts[at].said = *log ? -1 : 0;
		for (int n = 0; *log && phrases[n]; n++)
			if (strstr(log, phrases[n])) {
				verdicts[at].said = n + 1;
				break;
			}
	}
}

/*
 * The folder is made a private mount of its own first, so that the new file
 * system does not appear in other mount namespaces.
 */
long bpfctl_mount_bpffs(const char *folder)
{
	if (mount("", folder, "none", MS_PRIVATE | MS_REC, NULL)) {
		if (errno != EINVAL || mount(folder, folder, "none", MS_BIND, NULL) ||
		    mount("", folder, "none", MS_PRIVATE | MS_REC, NULL))
			return -errno;
	}
	return mount("bpf", folder, "bpf", 0, "mode=0700") ? -errno : 0;
}

/* The magic number of the file system that a path lies in, as in linux/magic.h. */
long bpfctl_fs_type(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) ? -errno : (long)((unsigned long)fs.f_type & 0xffffffff);
}

/* Whoever still uses it keeps it until then. */
long bpfctl_unmount(const char *folder)
{
	return umount2(folder, MNT_DETACH | UMOUNT_NOFOLLOW) ? -errno : 0;
}

/* A file system that appears nowhere: a descriptor of its root, to open files below (Linux 5.2). */
long bpfctl_detached_mount(const char *type)
{
	enum { fsopen = 430, fsconfig, fsmount }; /* the same on every architecture but Alpha */
	enum { cloexec = 1, create = 6 };
	long context, root;

	context = syscall(fsopen, type, cloexec);
	if (context < 0)
		return -errno;
	if (syscall(fsconfig, context, create, NULL, NULL, 0))
		root = -errno;
	else if ((root = syscall(fsmount, context, cloexec, 0)) < 0)
		root = -errno;
	close(context);
	return root;
}

/*
 * BPF ring buffer (kernel/bpf/ringbuf.c): a page with the consumer's position,
 * writable by the consumer, a page with the producer's, and the data mapped
 * twice in a row, so that a record which wraps can be read in one piece.
 *
 * Who only looks on maps the first page read-only too, and follows the
 * producer with a position of its own, ring->at.
 */
int bpfctl_ring_map(struct bpfctl_ring *ring, int map_fd, uint64_t size, int looks_on)
{
	uint64_t page = sysconf(_SC_PAGESIZE);
	void *mine, *theirs;

	mine = mmap(NULL, page, PROT_READ | (looks_on ? 0 : PROT_WRITE), MAP_SHARED, map_fd, 0);
	if (mine == MAP_FAILED)
		return -errno;
	theirs = mmap(NULL, page + 2 * size, PROT_READ, MAP_SHARED, map_fd, page);
	if (theirs == MAP_FAILED) {
		int error = errno;
		munmap(mine, page);
		return -error;
	}
	ring->consumer_pos = mine;
	ring->producer_pos = theirs;
	ring->data = (uint8_t *)theirs + page;
	ring->mask = size - 1;
	ring->page = page;
	ring->at = load_acquire(ring->consumer_pos);
	ring->discarded = 0;
	ring->missed = 0;
	ring->moved = 0;
	return 0;
}

#define RING_BUSY (1U << 31)
#define RING_DISCARD (1U << 30)
#define RING_HEADER 8

/*
 * How far one position is ahead of another.  Positions only grow, and wrap at
 * the kernel's unsigned long; the difference of two never exceeds 2 GiB, the
 * largest ring, so 32 bits of it are enough where that type has no more.
 */
static uint64_t ahead(uint64_t position, uint64_t of)
{
	return sizeof(long) == 4 ? (uint32_t)(position - of) : position - of;
}

/* Copies payload and notes where it lies in out; 0 when there is no room for it. */
static int put(struct bpfctl_batch *batch, long count, const uint8_t *data, size_t length)
{
	size_t padded = (length + 7) & ~(size_t)7;

	if (padded > batch->room - batch->used)
		return 0;
	memcpy(batch->out + batch->used, data, length);
	batch->spans[2 * count] = batch->used;
	batch->spans[2 * count + 1] = batch->used + length;
	batch->used += padded;
	return 1;
}

/* The errno of a batch that came to nothing because its first record is larger than the room; used tells its size. */
static long too_small(struct bpfctl_batch *batch, size_t length)
{
	batch->used = (length + 7) & ~(size_t)7;
	return -EMSGSIZE;
}

/*
 * Copies the complete records, and moves the consumer's position past each.
 * Returns how many there were; -EMSGSIZE when not even the first one fits, and
 * -EBADMSG when positions or lengths contradict each other, so that nothing
 * there can be believed.
 *
 * The acquire of the producer's position pairs with its release at the end of
 * a reservation, whose header says busy by then; the acquire of a header with
 * the exchange of a commit, behind which the payload is complete; our release
 * with the acquire of the next reservation, which may overwrite what we have
 * copied, but not before.  ring->moved counts how often the consumer's position
 * was not where we had left it: there is another consumer.
 */
long bpfctl_ring_take(struct bpfctl_ring *ring, struct bpfctl_batch *batch)
{
	uint64_t at = load_acquire(ring->consumer_pos);
	uint64_t left = ahead(load_acquire(ring->producer_pos), at);
	long count = 0;

	batch->used = 0;
	if (at != ring->at)
		ring->moved++;
	ring->at = at;
	if (left > ring->mask || at & 7)
		return -EBADMSG;
	while (left && (size_t)count < batch->most) {
		uint8_t *record = ring->data + (at & ring->mask);
		uint32_t header = load_acquire((uint32_t *)record);
		uint64_t length = header & ~(RING_BUSY | RING_DISCARD);
		uint64_t padded = (length + RING_HEADER + 7) & ~(uint64_t)7;

		if (header & RING_BUSY)
			break;
		if (padded > left)
			return count ? count : -EBADMSG;
		if (header & RING_DISCARD) {
			ring->discarded++;
		} else {
			if (!put(batch, count, record + RING_HEADER, length)) {
				if (!count)
					return too_small(batch, length);
				break;
			}
			count++;
		}
		at += padded;
		left -= padded;
		ring->at = at;
		store_release(ring->consumer_pos, at);
	}
	return count;
}

/*
 * Whether what was read from a position on cannot have been overwritten
 * meanwhile.  Comes after the reading, with an acquire fence between.
 *
 * A reservation waits until the consumer has left room for it, so all is well
 * while the consumer is not past our position: a producer that overwrites has
 * seen it past there, and then so do we.  Behind the consumer it is the
 * producer's position that tells.  A processor may show others the first bytes
 * of a record before the position that announces it, so the last eighth of
 * the lead is not used.
 */
static int intact(struct bpfctl_ring *ring, uint64_t at)
{
	uint64_t consumed = load_acquire(ring->consumer_pos);
	uint64_t lead = ahead(load_acquire(ring->producer_pos), at);

	if (ahead(at, consumed) <= ring->mask)
		return lead <= ring->mask;
	return lead <= ring->mask - (ring->mask >> 3);
}

#define RING_TRIES 4

/*
 * Copies the records from our own position on, and leaves the consumer's
 * alone.  All that was copied is dropped if a producer may have overwritten
 * it before we had it; reading then goes on at the consumer's position, or if
 * nonsense stands there at the producer's, both of which records begin at,
 * and ring->missed grows by the bytes between.
 */
long bpfctl_ring_watch(struct bpfctl_ring *ring, struct bpfctl_batch *batch)
{
	for (int try = 0; try < RING_TRIES; try++) {
		uint64_t from = ring->at, at = from, discarded = 0;
		uint64_t end = load_acquire(ring->producer_pos), left = ahead(end, at);
		uint64_t needs = 0, behind;
		int nonsense = left > ring->mask || at & 7;
		long count = 0;

		batch->used = 0;
		while (left && !nonsense && (size_t)count < batch->most) {
			uint8_t *record = ring->data + (at & ring->mask);
			uint32_t header = load_acquire((uint32_t *)record);
			uint64_t length = header & ~(RING_BUSY | RING_DISCARD);
			uint64_t padded = (length + RING_HEADER + 7) & ~(uint64_t)7;

			if (header & RING_BUSY)
				break;
			if (padded > left) {
				nonsense = 1;
				break;
			}
			if (header & RING_DISCARD) {
				discarded++;
			} else {
				if (!put(batch, count, record + RING_HEADER, length)) {
					needs = count ? 0 : length;
					break;
				}
				count++;
			}
			at += padded;
			left -= padded;
		}
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!nonsense && intact(ring, from)) {
			ring->at = at;
			ring->discarded += discarded;
			return needs ? too_small(batch, needs) : count;
		}
		end = load_acquire(ring->producer_pos);
		at = load_acquire(ring->consumer_pos);
		if (at & 7 || ahead(end, at) > ring->mask || at == from)
			at = end;
		behind = ahead(at, from);
		if (behind <= INT64_MAX)
			ring->missed += behind;
		ring->at = at;
	}
	batch->used = 0;
	return 0;
}

uint64_t bpfctl_ring_consumer(struct bpfctl_ring *ring)
{
	return load_acquire(ring->consumer_pos);
}

uint64_t bpfctl_ring_producer(struct bpfctl_ring *ring)
{
	return load_acquire(ring->producer_pos);
}

void bpfctl_ring_unmap(struct bpfctl_ring *ring)
{
	munmap(ring->consumer_pos, ring->page);
	munmap(ring->producer_pos, ring->page + 2 * (ring->mask + 1));
}

/*
 * Perf event buffer (include/uapi/linux/perf_event.h, struct
 * perf_event_mmap_page): a page with both positions, and the data behind it.
 */
int bpfctl_perf_map(struct bpfctl_perf *perf, int fd, uint64_t size)
{
	uint64_t page = sysconf(_SC_PAGESIZE);
	void *area = mmap(NULL, page + size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (area == MAP_FAILED)
		return -errno;
	perf->page = area;
	perf->data_offset = page;
	perf->mask = size - 1;
	perf->length = page + size;
	return 0;
}

uint64_t bpfctl_perf_behind(struct bpfctl_perf *perf)
{
	struct perf_event_mmap_page *page = perf->page;

	return load_acquire(&page->data_head) - page->data_tail;
}

/*
 * Copies whole records, struct perf_event_header and what follows; answers as
 * bpfctl_ring_take() does.  The kernel writes only where data_tail has passed,
 * so that one store at the end is enough.
 */
long bpfctl_perf_take(struct bpfctl_perf *perf, struct bpfctl_batch *batch)
{
	struct perf_event_mmap_page *page = perf->page;
	uint8_t *data = (uint8_t *)perf->page + perf->data_offset;
	uint64_t at = page->data_tail;
	uint64_t left = load_acquire(&page->data_head) - at;
	long count = 0;

	batch->used = 0;
	if (left > perf->mask + 1 || at & 7)
		return -EBADMSG;
	while (left && (size_t)count < batch->most) {
		uint64_t offset = at & perf->mask;
		/* Records are aligned to 8 bytes, so that a header never wraps. */
		struct perf_event_header *header = (struct perf_event_header *)(data + offset);
		size_t length = header->size, first = perf->mask + 1 - offset;

		if (length < sizeof(*header) || length > left || length & 7) {
			if (!count)
				return -EBADMSG;
			break;
		}
		if (length > batch->room - batch->used) {
			if (!count)
				return too_small(batch, length);
			break;
		}
		if (first > length)
			first = length;
		memcpy(batch->out + batch->used, data + offset, first);
		memcpy(batch->out + batch->used + first, data, length - first);
		batch->spans[2 * count] = batch->used;
		batch->spans[2 * count + 1] = batch->used + length;
		batch->used += length;
		at += length;
		left -= length;
		count++;
	}
	if (count)
		store_release(&page->data_tail, at);
	return count;
}

void bpfctl_perf_unmap(struct bpfctl_perf *perf)
{
	munmap(perf->page, perf->length);
}
