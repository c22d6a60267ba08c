/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_BUDDY_H
#define VMC_SWITCH_BUDDY_H

#include <stdint.h>

#include "proto/ring.h"

/* Blocks are counted in units of the smallest ring. */
#define VMC_BUDDY_BLOCKS \
	((uint32_t)((VMC_SEGMENT_BYTES - VMC_RINGS_OFFSET) / \
		    VMC_RING_MIN_BYTES))
#define VMC_BUDDY_ORDERS	9	/* VMC_RING_MIN_BYTES << 0 to 8 */
_Static_assert(VMC_RING_MIN_BYTES << (VMC_BUDDY_ORDERS - 1) ==
	       VMC_RING_MAX_BYTES, "the orders do not cover the ring sizes");

/* The free ring space of one segment. */
struct vmc_buddy {
	uint32_t nr_free;			/* blocks */
	uint32_t heads[VMC_BUDDY_ORDERS];	/* free lists, doubly linked */
	struct {
		uint32_t next;
		uint32_t prev;
		/* Order + 1 when a free run begins here, else 0. */
		uint8_t free_order;
	} blocks[VMC_BUDDY_BLOCKS];
};

void vmc_buddy_init(struct vmc_buddy *buddy);
int vmc_buddy_take(struct vmc_buddy *buddy, uint32_t bytes,
		   uint64_t *ret_offset);
void vmc_buddy_give(struct vmc_buddy *buddy, uint64_t offset, uint32_t bytes);
uint32_t vmc_buddy_cap(const struct vmc_buddy *buddy);

#endif /* VMC_SWITCH_BUDDY_H */
