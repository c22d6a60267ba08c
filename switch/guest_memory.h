/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_GUEST_MEMORY_H
#define VMC_SWITCH_GUEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define VMC_MAX_MEMORY_REGIONS	64

/* Where one region of a guest's RAM lies. */
struct vmc_memory_place {
	uint64_t guest;		/* guest-physical address */
	uint64_t user;		/* address in the hypervisor */
	uint64_t bytes;
	uint64_t fd_offset;
};

struct vmc_memory_region {
	struct vmc_memory_place place;
	uint8_t *host;		/* first byte of the region here */
	void *map;		/* what mmap() gave */
	size_t map_bytes;
};

/* All RAM of one guest, mapped here. All zero at first. */
struct vmc_guest_memory {
	unsigned int nr_regions;
	/* The file behind a region was cut short: set by a signal handler. */
	volatile bool is_torn;
	LIST_ENTRY(vmc_guest_memory) entry;	/* while it has regions */
	struct vmc_memory_region regions[VMC_MAX_MEMORY_REGIONS];
};

int vmc_guest_memory_guard(void);
int vmc_guest_memory_add(struct vmc_guest_memory *memory,
			 const struct vmc_memory_place *raw_place, int fd);
int vmc_guest_memory_remove(struct vmc_guest_memory *memory,
			    const struct vmc_memory_place *raw_place);
void vmc_guest_memory_clear(struct vmc_guest_memory *memory);
void *vmc_guest_memory_at(const struct vmc_guest_memory *memory,
			  uint64_t raw_guest, uint64_t raw_bytes);
void *vmc_guest_memory_at_user(const struct vmc_guest_memory *memory,
			       uint64_t raw_user, uint64_t raw_bytes);

#endif /* VMC_SWITCH_GUEST_MEMORY_H */
