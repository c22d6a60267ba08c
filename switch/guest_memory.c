// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest's RAM as the hypervisor lent it, and the translation of addresses
 * that a guest or a hypervisor names. Owns the mappings, not the descriptors.
 * Called by the vhost-user connection and by the queues. Every address from
 * outside passes through here before it is used.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "switch/guest_memory.h"

/* All memories that have regions, for the signal handler. */
static LIST_HEAD(, vmc_guest_memory) memories =
	LIST_HEAD_INITIALIZER(memories);

/*
 * A hypervisor cut the file behind a region short and the switch touched what
 * is missing. Put zeroes there and go on; vm.c ends the connection.
 */
static void memory_torn(int number, siginfo_t *info, void *context)
{
	struct vmc_guest_memory *memory;
	struct vmc_memory_region *region;
	unsigned int i;

	(void)context;
	LIST_FOREACH(memory, &memories, entry) {
		for (i = 0; i < memory->nr_regions; i++) {
			region = &memory->regions[i];
			if ((uintptr_t)info->si_addr - (uintptr_t)region->map >=
			    region->map_bytes)
				continue;
			if (mmap(region->map, region->map_bytes,
				 PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
				 MAP_NORESERVE, -1, 0) == MAP_FAILED)
				break;
			memory->is_torn = true;
			return;
		}
	}
	/* Not a guest's memory: the same access again ends the process. */
	signal(number, SIG_DFL);
}

/**
 * vmc_guest_memory_guard - survive memory whose file is cut short
 *
 * Once, before the first region is added. is_torn tells whose it was.
 *
 * Return: 0, or sigaction()'s error.
 */
int vmc_guest_memory_guard(void)
{
	const struct sigaction action = {
		.sa_sigaction = memory_torn,
		.sa_flags = SA_SIGINFO,
	};

	return sigaction(SIGBUS, &action, NULL) ? -errno : 0;
}

/* Whether [@start, @start + @bytes) wraps or is empty. */
static bool range_is_bad(uint64_t start, uint64_t bytes)
{
	return !bytes || start + bytes < start;
}

static bool ranges_meet(uint64_t a, uint64_t a_bytes, uint64_t b,
			uint64_t b_bytes)
{
	return a < b + b_bytes && b < a + a_bytes;
}

static bool range_has(uint64_t start, uint64_t bytes, uint64_t raw_start,
		      uint64_t raw_bytes)
{
	return raw_start >= start && raw_start - start <= bytes &&
	       raw_bytes <= bytes - (raw_start - start);
}

static int check_place(const struct vmc_guest_memory *memory,
		       const struct vmc_memory_place *place, int fd)
{
	const struct vmc_memory_place *other;
	struct stat status;
	unsigned int i;

	if (range_is_bad(place->guest, place->bytes) ||
	    range_is_bad(place->user, place->bytes) ||
	    range_is_bad(place->fd_offset, place->bytes))
		return -EINVAL;
	if (fstat(fd, &status))
		return -errno;
	if (S_ISREG(status.st_mode) &&
	    (uint64_t)status.st_size < place->fd_offset + place->bytes)
		return -ENXIO;
	for (i = 0; i < memory->nr_regions; i++) {
		other = &memory->regions[i].place;
		if (ranges_meet(place->guest, place->bytes, other->guest,
				other->bytes) ||
		    ranges_meet(place->user, place->bytes, other->user,
				other->bytes))
			return -EEXIST;
	}
	return 0;
}

/**
 * vmc_guest_memory_add - map one region
 * @memory: the guest's RAM
 * @raw_place: where the region lies, unchecked
 * @fd: the file that backs it; the caller closes it
 *
 * Return: 0; -EINVAL when the region is empty or wraps, -ENXIO when the file
 * is shorter, -EEXIST when it overlaps another, -ENOSPC when there are
 * VMC_MAX_MEMORY_REGIONS, or mmap()'s error.
 */
int vmc_guest_memory_add(struct vmc_guest_memory *memory,
			 const struct vmc_memory_place *raw_place, int fd)
{
	struct vmc_memory_region *region;
	size_t map_bytes;
	void *map;
	int error;

	if (memory->nr_regions == VMC_MAX_MEMORY_REGIONS)
		return -ENOSPC;
	error = check_place(memory, raw_place, fd);
	if (error)
		return error;

	/* From the file's start: huge pages want an aligned offset. */
	map_bytes = raw_place->fd_offset + raw_place->bytes;
	map = mmap(NULL, map_bytes, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	madvise(map, map_bytes, MADV_DONTDUMP);

	region = &memory->regions[memory->nr_regions];
	region->place = *raw_place;
	region->map = map;
	region->map_bytes = map_bytes;
	region->host = (uint8_t *)map + raw_place->fd_offset;
	if (!memory->nr_regions++)
		LIST_INSERT_HEAD(&memories, memory, entry);
	return 0;
}

/**
 * vmc_guest_memory_remove - unmap one region
 * @memory: the guest's RAM
 * @raw_place: as it was added; fd_offset does not matter
 *
 * Return: 0, or -ENOENT when there is no such region.
 */
int vmc_guest_memory_remove(struct vmc_guest_memory *memory,
			    const struct vmc_memory_place *raw_place)
{
	struct vmc_memory_region *region;
	unsigned int i;

	for (i = 0; i < memory->nr_regions; i++) {
		region = &memory->regions[i];
		if (region->place.guest != raw_place->guest ||
		    region->place.user != raw_place->user ||
		    region->place.bytes != raw_place->bytes)
			continue;
		munmap(region->map, region->map_bytes);
		*region = memory->regions[--memory->nr_regions];
		if (!memory->nr_regions)
			LIST_REMOVE(memory, entry);
		return 0;
	}
	return -ENOENT;
}

/**
 * vmc_guest_memory_clear - unmap everything
 * @memory: the guest's RAM
 */
void vmc_guest_memory_clear(struct vmc_guest_memory *memory)
{
	memory->is_torn = false;
	if (memory->nr_regions)
		LIST_REMOVE(memory, entry);
	while (memory->nr_regions) {
		memory->nr_regions--;
		munmap(memory->regions[memory->nr_regions].map,
		       memory->regions[memory->nr_regions].map_bytes);
	}
}

/**
 * vmc_guest_memory_at - where a range of guest-physical memory is here
 * @memory: the guest's RAM
 * @raw_guest: guest-physical address, unchecked
 * @raw_bytes: length, unchecked
 *
 * Return: the first byte; NULL unless one region holds the whole range.
 */
void *vmc_guest_memory_at(const struct vmc_guest_memory *memory,
			  uint64_t raw_guest, uint64_t raw_bytes)
{
	const struct vmc_memory_region *region;
	unsigned int i;

	for (i = 0; i < memory->nr_regions; i++) {
		region = &memory->regions[i];
		if (range_has(region->place.guest, region->place.bytes,
			      raw_guest, raw_bytes))
			return region->host + (raw_guest - region->place.guest);
	}
	return NULL;
}

/**
 * vmc_guest_memory_at_user - where a range of the hypervisor's memory is here
 * @memory: the guest's RAM
 * @raw_user: address in the hypervisor, unchecked
 * @raw_bytes: length, unchecked
 *
 * Return: the first byte; NULL unless one region holds the whole range.
 */
void *vmc_guest_memory_at_user(const struct vmc_guest_memory *memory,
			       uint64_t raw_user, uint64_t raw_bytes)
{
	const struct vmc_memory_region *region;
	unsigned int i;

	for (i = 0; i < memory->nr_regions; i++) {
		region = &memory->regions[i];
		if (range_has(region->place.user, region->place.bytes,
			      raw_user, raw_bytes))
			return region->host + (raw_user - region->place.user);
	}
	return NULL;
}
