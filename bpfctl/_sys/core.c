// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * System calls that Python has no door to, and the two shared-memory rings,
 * whose positions need acquire and release ordering that Python cannot express.
 * Nothing here decides anything: answers go up as they come.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kcmp.h>
#include <linux/perf_event.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi.h"

#define load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

#ifndef __NR_bpf
#error "bpf(2) has no number in the headers of this system"
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

long bpfctl_same_files(int pid, int other)
{
	long rc = syscall(__NR_kcmp, pid, other, KCMP_FILES, 0, 0);
	return rc < 0 ? -errno : rc == 0;
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

/*
 * BPF ring buffer (kernel/bpf/ringbuf.c): a page with the consumer's position,
 * writable by us, a page with the producer's, and the data mapped twice in a
 * row, so that a record which wraps can be read in one piece.
 */
int bpfctl_ring_map(struct bpfctl_ring *ring, int map_fd, uint64_t size)
{
	uint64_t page = sysconf(_SC_PAGESIZE);
	void *mine, *theirs;

	mine = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
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
	ring->discarded = 0;
	return 0;
}

#define RING_BUSY (1U << 31)
#define RING_DISCARD (1U << 30)
#define RING_HEADER 8

/*
 * Copies complete records into out, each as a 4-byte length and its bytes
 * padded to 8, and moves the consumer's position past them.  Returns the
 * number of records copied, or -EMSGSIZE when not even the first one fits; *used
 * is then the room that it needs.
 */
long bpfctl_ring_read(struct bpfctl_ring *ring, uint8_t *out, size_t room, size_t *used)
{
	uint64_t at = load_acquire(ring->consumer_pos);
	uint64_t end = load_acquire(ring->producer_pos);
	long count = 0;

	*used = 0;
	while (at < end) {
		uint8_t *record = ring->data + (at & ring->mask);
		uint32_t header = load_acquire((uint32_t *)record);
		uint32_t length = header & ~(RING_BUSY | RING_DISCARD);
		size_t padded = ((size_t)length + RING_HEADER + 7) & ~(size_t)7;

		if (header & RING_BUSY)
			break;
		if (header & RING_DISCARD) {
			ring->discarded++;
		} else {
			if (*used + padded > room) {
				if (!count)
					*used = padded;
				break;
			}
			memcpy(out + *used, &length, sizeof(length));
			memset(out + *used + 4, 0, 4);
			memcpy(out + *used + RING_HEADER, record + RING_HEADER, padded - RING_HEADER);
			*used += padded;
			count++;
		}
		at += padded;
		store_release(ring->consumer_pos, at);
	}
	if (!count && *used)
		return -EMSGSIZE;
	return count;
}

void bpfctl_ring_unmap(struct bpfctl_ring *ring)
{
	munmap(ring->consumer_pos, ring->page);
	munmap(ring->producer_pos, ring->page + 2 * (ring->mask + 1));
}

/* perf event buffer (include/uapi/linux/perf_event.h, struct perf_event_mmap_page) */
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

/* Copies whole perf records (struct perf_event_header and what follows) into out. */
long bpfctl_perf_read(struct bpfctl_perf *perf, uint8_t *out, size_t room, size_t *used)
{
	struct perf_event_mmap_page *page = perf->page;
	uint8_t *data = (uint8_t *)perf->page + perf->data_offset;
	uint64_t at = page->data_tail;
	uint64_t end = load_acquire(&page->data_head);
	long count = 0;

	*used = 0;
	while (at < end) {
		uint64_t offset = at & perf->mask;
		/* Records are aligned to 8 bytes, so that a header never wraps. */
		struct perf_event_header *header = (struct perf_event_header *)(data + offset);
		size_t length = header->size, first = perf->mask + 1 - offset;

		if (length < sizeof(*header))
			return -EBADMSG;
		if (*used + length > room) {
			if (!count)
				*used = length;
			break;
		}
		if (first > length)
			first = length;
		memcpy(out + *used, data + offset, first);
		memcpy(out + *used + first, data, length - first);
		*used += length;
		at += length;
		count++;
	}
	if (count)
		store_release(&page->data_tail, at);
	else if (*used)
		return -EMSGSIZE;
	return count;
}

void bpfctl_perf_unmap(struct bpfctl_perf *perf)
{
	munmap(perf->page, perf->length);
}
