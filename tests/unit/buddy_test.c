// SPDX-License-Identifier: GPL-2.0-or-later
/* Ring space of a segment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "switch/buddy.h"

static struct vmc_buddy buddy;
static uint8_t is_taken[VMC_BUDDY_BLOCKS];

static void mark(uint64_t offset, uint32_t bytes, uint8_t value)
{
	uint32_t block = (uint32_t)((offset - VMC_RINGS_OFFSET) /
				    VMC_RING_MIN_BYTES);
	uint32_t i;

	assert_true(vmc_ring_fits(offset, bytes, VMC_SEGMENT_BYTES));
	for (i = 0; i < bytes / VMC_RING_MIN_BYTES; i++) {
		assert_int_equal(is_taken[block + i], !value);
		is_taken[block + i] = value;
	}
}

static void rings_never_overlap(void **state)
{
	static struct {
		uint64_t offset;
		uint32_t bytes;
	} rings[4096];
	unsigned int i, step;
	uint64_t offset;
	uint32_t bytes;

	(void)state;
	vmc_buddy_init(&buddy);
	srandom(1);
	for (step = 0; step < 200000; step++) {
		i = (unsigned int)random() % 4096;
		if (rings[i].bytes) {
			mark(rings[i].offset, rings[i].bytes, 0);
			vmc_buddy_give(&buddy, rings[i].offset,
				       rings[i].bytes);
			rings[i].bytes = 0;
			continue;
		}
		bytes = VMC_RING_MIN_BYTES << random() % VMC_BUDDY_ORDERS;
		if (vmc_buddy_take(&buddy, bytes, &offset))
			continue;
		mark(offset, bytes, 1);
		rings[i].offset = offset;
		rings[i].bytes = bytes;
	}
	for (i = 0; i < 4096; i++) {
		if (rings[i].bytes)
			vmc_buddy_give(&buddy, rings[i].offset,
				       rings[i].bytes);
	}
	assert_int_equal(buddy.nr_free, VMC_BUDDY_BLOCKS);
	/* Everything grew together again. */
	for (i = 0; !vmc_buddy_take(&buddy, VMC_RING_MAX_BYTES, &offset); i++)
		;
	assert_int_equal(i, VMC_BUDDY_BLOCKS >> (VMC_BUDDY_ORDERS - 1));
}

static void every_block_can_be_used(void **state)
{
	uint64_t offset;
	uint32_t i;

	(void)state;
	vmc_buddy_init(&buddy);
	for (i = 0; !vmc_buddy_take(&buddy, VMC_RING_MIN_BYTES, &offset); i++)
		;
	assert_int_equal(i, VMC_BUDDY_BLOCKS);
	assert_int_equal(buddy.nr_free, 0);
}

static void more_than_ten_thousand_default_rings_fit(void **state)
{
	uint32_t nr = 0, bytes, cap;
	uint64_t offset;

	(void)state;
	vmc_buddy_init(&buddy);
	for (;; nr++) {
		bytes = VMC_RING_DEFAULT_BYTES;
		cap = vmc_buddy_cap(&buddy);
		if (bytes > cap)
			bytes = cap;
		if (vmc_buddy_take(&buddy, bytes, &offset))
			break;
	}
	assert_in_range(nr, 10001, VMC_SLOTS_PER_LINK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rings_never_overlap),
		cmocka_unit_test(every_block_can_be_used),
		cmocka_unit_test(more_than_ten_thousand_default_rings_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
