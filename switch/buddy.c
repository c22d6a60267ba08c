// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Allocates rings in a segment: the classic buddy scheme over blocks of the
 * smallest ring's size. Owns the bookkeeping only; touches no shared memory.
 * Called by link.c.
 */
#include <errno.h>
#include <string.h>

#include "switch/buddy.h"

#define NONE	UINT32_MAX

static unsigned int order_of(uint32_t bytes)
{
	unsigned int order = 0;

	while (VMC_RING_MIN_BYTES << order < bytes)
		order++;
	return order;
}

static void insert(struct vmc_buddy *buddy, uint32_t block,
		   unsigned int order)
{
	uint32_t head = buddy->heads[order];

	buddy->blocks[block].free_order = (uint8_t)(order + 1);
	buddy->blocks[block].prev = NONE;
	buddy->blocks[block].next = head;
	if (head != NONE)
		buddy->blocks[head].prev = block;
	buddy->heads[order] = block;
}

static void extract(struct vmc_buddy *buddy, uint32_t block,
		    unsigned int order)
{
	uint32_t next = buddy->blocks[block].next;
	uint32_t prev = buddy->blocks[block].prev;

	buddy->blocks[block].free_order = 0;
	if (next != NONE)
		buddy->blocks[next].prev = prev;
	if (prev != NONE)
		buddy->blocks[prev].next = next;
	else
		buddy->heads[order] = next;
}

/**
 * vmc_buddy_init - all space is free
 * @buddy: the allocator
 */
void vmc_buddy_init(struct vmc_buddy *buddy)
{
	uint32_t end = VMC_BUDDY_BLOCKS;
	unsigned int order;
	int i;

	memset(buddy, 0, sizeof(*buddy));
	for (i = 0; i < VMC_BUDDY_ORDERS; i++)
		buddy->heads[i] = NONE;
	buddy->nr_free = VMC_BUDDY_BLOCKS;
	/*
	 * From the end, where the runs are short of the largest ring, so that
	 * the first of each size is the first to be taken.
	 */
	for (order = 0; order < VMC_BUDDY_ORDERS - 1; order++) {
		if (!(end & (1U << order)))
			continue;
		end -= 1U << order;
		insert(buddy, end, order);
	}
	while (end) {
		end -= 1U << order;
		insert(buddy, end, order);
	}
}

/**
 * vmc_buddy_take - allocate a ring
 * @buddy: the allocator
 * @bytes: a valid ring size
 * @ret_offset: of the ring in its segment, bytes
 *
 * Return: 0, or -ENOSPC when no run is long enough.
 */
int vmc_buddy_take(struct vmc_buddy *buddy, uint32_t bytes,
		   uint64_t *ret_offset)
{
	unsigned int wanted = order_of(bytes);
	unsigned int order = wanted;
	uint32_t block;

	while (order < VMC_BUDDY_ORDERS && buddy->heads[order] == NONE)
		order++;
	if (order == VMC_BUDDY_ORDERS)
		return -ENOSPC;
	block = buddy->heads[order];
	extract(buddy, block, order);
	while (order > wanted) {
		order--;
		insert(buddy, block + (1U << order), order);
	}
	buddy->nr_free -= 1U << wanted;
	*ret_offset = VMC_RINGS_OFFSET + (uint64_t)block * VMC_RING_MIN_BYTES;
	return 0;
}

/**
 * vmc_buddy_give - free a ring
 * @buddy: the allocator
 * @offset: from vmc_buddy_take()
 * @bytes: as it was taken
 */
void vmc_buddy_give(struct vmc_buddy *buddy, uint64_t offset, uint32_t bytes)
{
	uint32_t block = (uint32_t)((offset - VMC_RINGS_OFFSET) /
				    VMC_RING_MIN_BYTES);
	unsigned int order = order_of(bytes);
	uint32_t other;

	buddy->nr_free += 1U << order;
	while (order < VMC_BUDDY_ORDERS - 1) {
		other = block ^ (1U << order);
		if (other >= VMC_BUDDY_BLOCKS ||
		    buddy->blocks[other].free_order != order + 1)
			break;
		extract(buddy, other, order);
		block &= ~(1U << order);
		order++;
	}
	insert(buddy, block, order);
}

/**
 * vmc_buddy_cap - the largest ring to hand out now
 * @buddy: the allocator
 *
 * While more than half of the space is free any size goes; then 64 KiB, and
 * below three eighths 16 KiB: so more than 10,000 circuits fit in a link even
 * when the first ones asked for the default size.
 *
 * Return: bytes.
 */
uint32_t vmc_buddy_cap(const struct vmc_buddy *buddy)
{
	if (buddy->nr_free > VMC_BUDDY_BLOCKS / 2)
		return VMC_RING_MAX_BYTES;
	if (buddy->nr_free > VMC_BUDDY_BLOCKS / 8 * 3)
		return 4 * VMC_RING_MIN_BYTES;
	return VMC_RING_MIN_BYTES;
}
