// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Segments and switch pages: sealed memfds. Owns the descriptor and the
 * switch's own mapping of the header and the control pages. What was written
 * there is nothing to rely on: only the bells and wires of processes read it.
 * Called by link.c and broker.c.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/ring.h"
#include "switch/segment.h"

/*
 * Of the rings that are given out first this much memory stays: of those at the
 * end of a segment, where the runs are short, and then of those at its begin.
 */
#define KEPT_BYTES	VMC_RING_MIN_BYTES
#define KEPT_END	(VMC_RINGS_OFFSET + 64 * VMC_RING_DEFAULT_BYTES)
#define KEPT_TAIL	(VMC_SEGMENT_BYTES - VMC_RING_MAX_BYTES)

/* Sealed, so that no hypervisor can make the switch fault by shrinking it. */
static int create(struct vmc_segment *segment, const char *name,
		  uint64_t bytes, size_t map_bytes)
{
	int error, fd;
	void *map;

	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	/* Who got a descriptor for reading must not open it for more. */
	if (fchmod(fd, S_IRUSR | S_IWUSR) || ftruncate(fd, (off_t)bytes) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		goto close_fd;
	map = mmap(NULL, map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		goto close_fd;
	madvise(map, map_bytes, MADV_DONTDUMP);
	segment->fd = fd;
	segment->map = map;
	segment->map_bytes = map_bytes;
	return 0;

close_fd:
	error = -errno;
	close(fd);
	return error;
}

/**
 * vmc_segment_create - make a segment for one direction of a link
 * @segment: filled in on success
 *
 * Return: 0, or the error of memfd_create(), ftruncate(), fcntl() or mmap().
 */
int vmc_segment_create(struct vmc_segment *segment)
{
	struct vmc_segment_header *header;
	int error;

	error = create(segment, "vmcircuit-segment", VMC_SEGMENT_BYTES,
		       VMC_RINGS_OFFSET);
	if (error)
		return error;
	header = (struct vmc_segment_header *)segment->map;
	header->magic = htole64(VMC_SEGMENT_MAGIC);
	return 0;
}

/**
 * vmc_segment_create_page - make a switch page
 * @segment: filled in on success
 * @epoch: of this run of the switch
 *
 * Return: as vmc_segment_create().
 */
int vmc_segment_create_page(struct vmc_segment *segment, uint64_t epoch)
{
	struct vmc_switch_page *page;
	int error;

	error = create(segment, "vmcircuit-switch", VMC_PAGE_BYTES,
		       VMC_PAGE_BYTES);
	if (error)
		return error;
	page = (struct vmc_switch_page *)segment->map;
	page->magic = htole64(VMC_SWITCH_MAGIC);
	page->epoch = htole64(epoch);
	return 0;
}

/**
 * vmc_segment_create_wake_area - make a link's wake area, which both ends write
 * @segment: filled in on success
 *
 * Return: as vmc_segment_create().
 */
int vmc_segment_create_wake_area(struct vmc_segment *segment)
{
	return create(segment, "vmcircuit-wake", VMC_WAKE_BYTES,
		      VMC_WAKE_BYTES);
}

/**
 * vmc_segment_beat - advance the heartbeat of a switch page
 * @segment: from vmc_segment_create_page()
 */
void vmc_segment_beat(struct vmc_segment *segment)
{
	struct vmc_switch_page *page = (struct vmc_switch_page *)segment->map;
	uint32_t beat = le32toh(page->heartbeat) + 1;

	__atomic_store_n(&page->heartbeat, htole32(beat), __ATOMIC_RELEASE);
}

/**
 * vmc_segment_open_reader - a descriptor that cannot be written through
 * @segment: from vmc_segment_create()
 *
 * Return: the descriptor, the caller's to close, or the error of open(): it
 * takes /proc.
 */
int vmc_segment_open_reader(const struct vmc_segment *segment)
{
	char path[sizeof("/proc/self/fd/") + 10];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", segment->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/**
 * vmc_segment_destroy - unmap and close
 * @segment: created or with an fd of -1; VMs that still map it keep the memory
 */
void vmc_segment_destroy(struct vmc_segment *segment)
{
	if (segment->fd < 0)
		return;
	munmap(segment->map, segment->map_bytes);
	close(segment->fd);
	segment->fd = -1;
	segment->map = NULL;
}

/**
 * vmc_segment_ctl - a circuit's control page
 * @segment: from vmc_segment_create()
 * @slot: below VMC_SLOTS_PER_LINK
 *
 * Return: what a VM wrote, at any time.
 */
const struct vmc_ctl *vmc_segment_ctl(const struct vmc_segment *segment,
				      uint32_t slot)
{
	return (const struct vmc_ctl *)(segment->map + VMC_CTL_OFFSET) + slot;
}

/**
 * vmc_segment_clear_ctl - make a control page ready for a new circuit
 * @segment: from vmc_segment_create()
 * @slot: below VMC_SLOTS_PER_LINK
 *
 * The whole page: an application may have written beyond the fields.
 */
void vmc_segment_clear_ctl(struct vmc_segment *segment, uint32_t slot)
{
	memset(segment->map + VMC_CTL_OFFSET +
	       (size_t)slot * sizeof(struct vmc_ctl), 0,
	       sizeof(struct vmc_ctl));
}

/* Overwrite what there is of a range with zeroes; make nothing new. */
static int zero(int fd, off_t at, off_t end)
{
	static const uint8_t zeroes[KEPT_BYTES];
	off_t hole;

	while ((at = lseek(fd, at, SEEK_DATA)) >= 0 && at < end) {
		hole = lseek(fd, at, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		if (hole > end)
			hole = end;
		if (pwrite(fd, zeroes, (size_t)(hole - at), at) != hole - at)
			return -EIO;
		at = hole;
	}
	return 0;
}

/**
 * vmc_segment_clear_ring - forget what is in a ring
 * @segment: from vmc_segment_create()
 * @offset: of the ring, bytes
 * @bytes: of the ring
 *
 * Whoever gets the ring next finds zeroes, not the last user's bytes. Its
 * memory is given back, but for a little that the next short connection would
 * only fault in again: taking pages from a running VM stops its processors.
 */
void vmc_segment_clear_ring(struct vmc_segment *segment, uint64_t offset,
			    uint64_t bytes)
{
	off_t at = (off_t)offset, end = (off_t)(offset + bytes), data;

	if ((offset < KEPT_END || offset >= KEPT_TAIL) &&
	    !zero(segment->fd, at, at + KEPT_BYTES)) {
		at += KEPT_BYTES;
		data = lseek(segment->fd, at, SEEK_DATA);
		if (data >= end || (data < 0 && errno == ENXIO))
			return;
	}
	fallocate(segment->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
		  end - at);
}
