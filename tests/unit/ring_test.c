// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * proto/ring.h: sizes, the arithmetic on free-running indexes, and what a
 * hostile peer may write into them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/ring.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static const __u32 valid_sizes[] = {
	16384, 32768, 65536, 131072, 262144, 524288, 1048576, 2097152, 4194304,
};

static void ring_sizes_are_powers_of_two_within_limits(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(valid_sizes); i++) {
		assert_true(vmc_ring_size_is_valid(valid_sizes[i]));
		assert_false(vmc_ring_size_is_valid(valid_sizes[i] - 1));
		assert_false(vmc_ring_size_is_valid(valid_sizes[i] + 1));
		assert_false(vmc_ring_size_is_valid(valid_sizes[i] * 3));
	}
}

static void hostile_ring_sizes_are_refused(void **state)
{
	static const __u32 hostile[] = {
		0, 1, 2, 4096, 8192, 8388608, 0x7fffffff, 0x80000000,
		0xffffffff, 0xffff0000,
	};

	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++)
		assert_false(vmc_ring_size_is_valid(hostile[i]));
}

static void size_wish_is_rounded_up_and_clamped(void **state)
{
	static const struct {
		__u32 wish;
		__u32 size;
	} cases[] = {
		{ 0, 1048576 }, { 1, 16384 }, { 16384, 16384 },
		{ 16385, 32768 }, { 65535, 65536 }, { 65536, 65536 },
		{ 65537, 131072 }, { 4194303, 4194304 },
		{ 4194304, 4194304 }, { 4194305, 4194304 },
		{ 0x80000000, 4194304 }, { 0xffffffff, 4194304 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(vmc_ring_size_for(cases[i].wish),
				 cases[i].size);
}

static void every_size_wish_gives_a_valid_size(void **state)
{
	__u32 wish = 0;

	/* 65521 is prime, so this visits all residues. */
	for (int i = 0; i < 200000; i++, wish += 65521)
		assert_true(vmc_ring_size_is_valid(vmc_ring_size_for(wish)));
}

static void fill_counts_across_the_wrap_of_the_index(void **state)
{
	assert_int_equal(vmc_ring_fill(0, 0), 0);
	assert_int_equal(vmc_ring_fill(100, 40), 60);
	assert_int_equal(vmc_ring_fill(5, 0xfffffffb), 10);
	assert_int_equal(vmc_ring_fill(0, 0xffffffff), 1);
	assert_int_equal(vmc_ring_fill(0x80000000, 0x7fffffff), 1);
}

static void a_producer_behind_its_consumer_shows_as_overfull(void **state)
{
	/* A lie of even one byte is larger than the largest ring. */
	assert_true(vmc_ring_fill(99, 100) > VMC_RING_MAX_BYTES);
	assert_true(vmc_ring_fill(0xfffffff0, 0) > VMC_RING_MAX_BYTES);
	assert_true(vmc_ring_fill(0, 1) > VMC_RING_MAX_BYTES);
	assert_true(vmc_ring_fill(0, 0x80000000) > VMC_RING_MAX_BYTES);
}

static void hostile_fill_is_told_from_a_full_ring(void **state)
{
	static const __u32 starts[] = { 0, 1, 0x7fffffff, 0xffffff00,
					0xffffffff };

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(valid_sizes); j++) {
			__u32 size = valid_sizes[j];
			__u32 cons = starts[i];

			assert_int_equal(vmc_ring_fill(cons + size, cons),
					 size);
			assert_true(vmc_ring_fill(cons + size + 1, cons) >
				    size);
		}
	}
}

static void span_ends_at_the_end_of_the_ring(void **state)
{
	assert_int_equal(vmc_ring_span(0, 16384, 100), 100);
	assert_int_equal(vmc_ring_span(0, 16384, 16384), 16384);
	assert_int_equal(vmc_ring_span(0, 16384, 20000), 16384);
	assert_int_equal(vmc_ring_span(16383, 16384, 100), 1);
	assert_int_equal(vmc_ring_span(16384, 16384, 100), 100);
	assert_int_equal(vmc_ring_span(16300, 16384, 84), 84);
	assert_int_equal(vmc_ring_span(16300, 16384, 85), 84);
	assert_int_equal(vmc_ring_span(0xffffffff, 16384, 5), 1);
	assert_int_equal(vmc_ring_span(0xffffc000, 16384, 99999), 16384);
}

static void span_never_leaves_the_ring_whatever_the_index(void **state)
{
	__u32 index = 0, wish = 0;

	for (int i = 0; i < 200000; i++, index += 2654435761u,
	     wish += 65521 * 7) {
		for (size_t j = 0; j < ARRAY_SIZE(valid_sizes); j++) {
			__u32 size = valid_sizes[j];
			__u32 span = vmc_ring_span(index, size, wish);

			assert_true(span <= wish);
			assert_true((index & (size - 1)) + span <= size);
			assert_true(span || !wish);
		}
	}
}

static void spans_copy_every_byte_over_the_wrap(void **state)
{
	enum { RING_BYTES = 16384, TOTAL_BYTES = 5 * RING_BYTES + 777 };
	unsigned char *ring = malloc(RING_BYTES);
	/* Begins short of the wrap of 2^32, so both wraps happen. */
	__u32 prod = 0xffffffffu - RING_BYTES, cons = prod;
	__u32 put = 0, taken = 0, piece = 1;

	assert_non_null(ring);
	while (taken < TOTAL_BYTES) {
		__u32 space = RING_BYTES - vmc_ring_fill(prod, cons);
		__u32 n = vmc_ring_span(prod, RING_BYTES, piece % 5000);

		piece = piece * 1103515245 + 12345;
		n = n < space ? n : space;
		n = n < TOTAL_BYTES - put ? n : TOTAL_BYTES - put;
		for (__u32 i = 0; i < n; i++)
			ring[(prod + i) & (RING_BYTES - 1)] = (put + i) % 251;
		prod += n;
		put += n;
		n = vmc_ring_span(cons, RING_BYTES, piece % 3000);
		if (n > vmc_ring_fill(prod, cons))
			n = vmc_ring_fill(prod, cons);
		for (__u32 i = 0; i < n; i++)
			assert_int_equal(ring[(cons & (RING_BYTES - 1)) + i],
					 (taken + i) % 251);
		cons += n;
		taken += n;
	}
	free(ring);
}

static void a_third_free_is_roomy(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(valid_sizes); i++) {
		__u32 size = valid_sizes[i];

		assert_false(vmc_ring_is_roomy(0, size));
		assert_false(vmc_ring_is_roomy(size / 3 - 1, size));
		assert_true(vmc_ring_is_roomy(size / 3, size));
		assert_true(vmc_ring_is_roomy(size, size));
	}
}

static void a_ring_must_lie_behind_the_header_and_in_the_segment(void **state)
{
	const __u64 bytes = VMC_SEGMENT_BYTES;

	assert_true(vmc_ring_fits(VMC_RINGS_OFFSET, 16384, bytes));
	assert_true(vmc_ring_fits(bytes - 16384, 16384, bytes));
	assert_false(vmc_ring_fits(bytes - 12288, 16384, bytes));
	assert_false(vmc_ring_fits(VMC_RINGS_OFFSET - 4096, 16384, bytes));
	assert_false(vmc_ring_fits(VMC_RINGS_OFFSET + 1, 16384, bytes));
	assert_false(vmc_ring_fits(VMC_RINGS_OFFSET + 64, 16384, bytes));
	assert_false(vmc_ring_fits(0, 16384, bytes));
	assert_false(vmc_ring_fits(VMC_CTL_OFFSET, 16384, bytes));
}

static void hostile_ring_places_are_refused(void **state)
{
	static const __u64 offsets[] = {
		VMC_SEGMENT_BYTES, VMC_SEGMENT_BYTES + 4096, 1ULL << 63,
		0xfffffffffffff000ULL, 0xffffffffffffffffULL,
		/* The sum of offset and size wraps to a small number. */
		0ULL - 16384, 0ULL - 4096,
	};

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		assert_false(vmc_ring_fits(offsets[i], 16384,
					   VMC_SEGMENT_BYTES));
		assert_false(vmc_ring_fits(offsets[i], VMC_RING_MAX_BYTES,
					   VMC_SEGMENT_BYTES));
	}
	assert_false(vmc_ring_fits(VMC_RINGS_OFFSET, 0, VMC_SEGMENT_BYTES));
	assert_false(vmc_ring_fits(VMC_RINGS_OFFSET, 0xffffffff,
				   VMC_SEGMENT_BYTES));
	assert_false(vmc_ring_fits(VMC_RINGS_OFFSET, 16385,
				   VMC_SEGMENT_BYTES));
}

static void fields_of_different_pollers_share_no_line(void **state)
{
	const size_t at[] = {
		offsetof(struct vmc_ctl, prod), offsetof(struct vmc_ctl, cons),
		offsetof(struct vmc_ctl, data_wait),
	};

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		assert_int_equal(at[i] % VMC_LINE_BYTES, 0);
		for (size_t j = 0; j < i; j++)
			assert_true(at[i] / VMC_LINE_BYTES !=
				    at[j] / VMC_LINE_BYTES);
	}
	assert_true(offsetof(struct vmc_segment_header, kick_wanted) /
		    VMC_LINE_BYTES !=
		    offsetof(struct vmc_segment_header, pending) /
		    VMC_LINE_BYTES);
}

static void bell_bitmap_has_a_bit_for_each_slot(void **state)
{
	const struct vmc_segment_header *header = NULL;

	assert_int_equal(8 * sizeof(header->pending), VMC_SLOTS_PER_LINK);
	assert_int_equal(8 * sizeof(header->ack), VMC_SLOTS_PER_LINK);
}

static void layout_leaves_room_for_small_rings_of_every_slot(void **state)
{
	assert_true(VMC_RINGS_OFFSET <
		    VMC_SEGMENT_BYTES - VMC_RING_MAX_BYTES);
	assert_int_equal(VMC_RINGS_OFFSET % VMC_PAGE_BYTES, 0);
	assert_int_equal(VMC_CTL_OFFSET % VMC_PAGE_BYTES, 0);
	assert_true(VMC_MAX_SEGMENTS * VMC_SEGMENT_BYTES <= VMC_WINDOW_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_sizes_are_powers_of_two_within_limits),
		cmocka_unit_test(hostile_ring_sizes_are_refused),
		cmocka_unit_test(size_wish_is_rounded_up_and_clamped),
		cmocka_unit_test(every_size_wish_gives_a_valid_size),
		cmocka_unit_test(fill_counts_across_the_wrap_of_the_index),
		cmocka_unit_test(
			a_producer_behind_its_consumer_shows_as_overfull),
		cmocka_unit_test(hostile_fill_is_told_from_a_full_ring),
		cmocka_unit_test(span_ends_at_the_end_of_the_ring),
		cmocka_unit_test(span_never_leaves_the_ring_whatever_the_index),
		cmocka_unit_test(spans_copy_every_byte_over_the_wrap),
		cmocka_unit_test(a_third_free_is_roomy),
		cmocka_unit_test(
			a_ring_must_lie_behind_the_header_and_in_the_segment),
		cmocka_unit_test(hostile_ring_places_are_refused),
		cmocka_unit_test(fields_of_different_pollers_share_no_line),
		cmocka_unit_test(bell_bitmap_has_a_bit_for_each_slot),
		cmocka_unit_test(
			layout_leaves_room_for_small_rings_of_every_slot),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
