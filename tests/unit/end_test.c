// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lib/end.h: two ends that face each other, and one whose peer writes what it
 * likes. The segments end with their rings, so ASan sees a step beyond.
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/end.h"

#define SLOT		2U
#define RING_OFFSET	(VMC_CTL_OFFSET + (SLOT + 1) * VMC_PAGE_BYTES)
/* Different ones, lest one direction is taken for the other. */
#define A_BYTES		VMC_RING_MIN_BYTES
#define B_BYTES		(2 * VMC_RING_MIN_BYTES)
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

struct pair {
	uint8_t *segments[2];
	struct vmc_end a, b;
};

/* Where index arithmetic may go wrong. */
static const uint32_t edges[] = {
	0, 1, A_BYTES - 1, A_BYTES, A_BYTES + 1, B_BYTES, 0x7fffffff,
	0x80000000, 0xffffffff - A_BYTES, 0xfffffffe, 0xffffffff,
};

static int setup(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	assert_non_null(pair);
	pair->segments[0] = calloc(1, RING_OFFSET + A_BYTES);
	pair->segments[1] = calloc(1, RING_OFFSET + B_BYTES);
	assert_non_null(pair->segments[0]);
	assert_non_null(pair->segments[1]);
	vmc_end_init(&pair->a, pair->segments[0], pair->segments[1], SLOT,
		     RING_OFFSET, A_BYTES, RING_OFFSET, B_BYTES);
	vmc_end_init(&pair->b, pair->segments[1], pair->segments[0], SLOT,
		     RING_OFFSET, B_BYTES, RING_OFFSET, A_BYTES);
	*state = pair;
	return 0;
}

static int teardown(void **state)
{
	struct pair *pair = *state;

	free(pair->segments[0]);
	free(pair->segments[1]);
	free(pair);
	return 0;
}

/* What the peer of @end writes, which need not be true. */
static struct vmc_ctl *raw_peer(struct vmc_end *end)
{
	return (struct vmc_ctl *)end->peer;
}

/* As if that many bytes had gone from one end to the other before. */
static void advance_to(struct vmc_end *from, struct vmc_end *to,
		       uint32_t index)
{
	from->prod = index;
	from->own->prod = htole32(index);
	to->cons = index;
	to->own->cons = htole32(index);
}

/* Send what is free, in spans; the bytes count up from @first. */
static uint32_t fill(struct vmc_end *end, uint8_t first)
{
	uint32_t bytes, total = 0, i;
	uint8_t *to;

	while (vmc_end_writable(end)) {
		to = vmc_end_tx_span(end, vmc_end_writable(end), &bytes);
		assert_true(bytes > 0);
		for (i = 0; i < bytes; i++)
			to[i] = first++;
		vmc_end_produce(end, bytes);
		total += bytes;
	}
	return total;
}

static uint32_t drain(struct vmc_end *end, uint8_t first)
{
	uint32_t bytes, total = 0, i;
	const uint8_t *from;

	while (vmc_end_readable(end)) {
		from = vmc_end_rx_span(end, vmc_end_readable(end), &bytes);
		assert_true(bytes > 0);
		for (i = 0; i < bytes; i++)
			assert_int_equal(from[i], first++);
		vmc_end_consume(end, bytes);
		total += bytes;
	}
	return total;
}

static void a_fresh_circuit_is_empty(void **state)
{
	struct pair *pair = *state;

	assert_int_equal(vmc_end_readable(&pair->a), 0);
	assert_int_equal(vmc_end_readable(&pair->b), 0);
	assert_int_equal(vmc_end_writable(&pair->a), A_BYTES);
	assert_int_equal(vmc_end_writable(&pair->b), B_BYTES);
	assert_int_equal(vmc_end_peer_flags(&pair->a), 0);
	assert_false(pair->a.is_lying || pair->b.is_lying);
}

static void what_is_sent_is_received(void **state)
{
	struct pair *pair = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(edges); i++) {
		advance_to(&pair->a, &pair->b, edges[i]);
		advance_to(&pair->b, &pair->a, edges[i] + 5);
		assert_int_equal(fill(&pair->a, 11), A_BYTES);
		assert_int_equal(fill(&pair->b, 99), B_BYTES);
		assert_int_equal(vmc_end_writable(&pair->a), 0);
		assert_int_equal(vmc_end_readable(&pair->b), A_BYTES);
		assert_int_equal(drain(&pair->b, 11), A_BYTES);
		assert_int_equal(drain(&pair->a, 99), B_BYTES);
		assert_int_equal(vmc_end_writable(&pair->a), A_BYTES);
		assert_false(pair->a.is_lying || pair->b.is_lying);
	}
}

static void a_span_ends_where_the_ring_ends(void **state)
{
	struct pair *pair = *state;
	uint32_t bytes;

	advance_to(&pair->a, &pair->b, A_BYTES - 10);
	assert_ptr_equal(vmc_end_tx_span(&pair->a, 100, &bytes),
			 pair->a.tx + A_BYTES - 10);
	assert_int_equal(bytes, 10);
	vmc_end_tx_span(&pair->a, 9, &bytes);
	assert_int_equal(bytes, 9);
	vmc_end_tx_span(&pair->a, 0, &bytes);
	assert_int_equal(bytes, 0);
	vmc_end_produce(&pair->a, 10);
	assert_ptr_equal(vmc_end_tx_span(&pair->a, 90, &bytes), pair->a.tx);
	assert_int_equal(bytes, 90);
	vmc_end_produce(&pair->a, 90);
	assert_ptr_equal(vmc_end_rx_span(&pair->b, 100, &bytes),
			 pair->b.rx + A_BYTES - 10);
	assert_int_equal(bytes, 10);
	vmc_end_consume(&pair->b, 10);
	assert_ptr_equal(vmc_end_rx_span(&pair->b, 90, &bytes), pair->b.rx);
	assert_int_equal(bytes, 90);
}

static void one_bell_answers_one_wish_for_data(void **state)
{
	struct pair *pair = *state;

	assert_false(vmc_end_produce(&pair->a, 1));
	vmc_end_await_data(&pair->b);
	assert_true(vmc_end_produce(&pair->a, 1));
	assert_false(vmc_end_produce(&pair->a, 1));
	vmc_end_await_data(&pair->b);
	vmc_end_await_data(&pair->b);
	assert_true(vmc_end_produce(&pair->a, 1));
	assert_false(vmc_end_produce(&pair->a, 1));
	assert_int_equal(vmc_end_readable(&pair->b), 5);
}

static void a_wish_for_space_is_kept_until_there_is_some(void **state)
{
	const uint32_t third = A_BYTES / 3;
	struct pair *pair = *state;

	fill(&pair->a, 0);
	vmc_end_await_space(&pair->a);
	assert_false(vmc_end_consume(&pair->b, 1));
	assert_false(vmc_end_consume(&pair->b, third - 2));
	assert_true(vmc_end_consume(&pair->b, 1));
	assert_false(vmc_end_consume(&pair->b, 1));
	/* Room is what the producer left, not what was taken just now. */
	fill(&pair->a, 0);
	vmc_end_await_space(&pair->a);
	assert_false(vmc_end_consume(&pair->b, third - 1));
	vmc_end_produce(&pair->a, third - 1);
	assert_false(vmc_end_consume(&pair->b, third - 1));
	assert_true(vmc_end_consume(&pair->b, 1));
}

static void wishes_count_over_the_wrap(void **state)
{
	struct pair *pair = *state;

	pair->b.data_wait = 0xffffffff;
	pair->a.peer_data_wait = 0xffffffff;
	vmc_end_await_data(&pair->b);
	assert_int_equal(le32toh(pair->b.own->data_wait), 0);
	assert_true(vmc_end_produce(&pair->a, 1));
	assert_false(vmc_end_produce(&pair->a, 1));
}

static void flags_add_up_and_ring_when_they_change(void **state)
{
	struct pair *pair = *state;

	assert_true(vmc_end_set_flags(&pair->a, VMC_CTL_FIN));
	assert_false(vmc_end_set_flags(&pair->a, VMC_CTL_FIN));
	assert_int_equal(vmc_end_peer_flags(&pair->b), VMC_CTL_FIN);
	assert_true(vmc_end_set_flags(&pair->a, VMC_CTL_FIN | VMC_CTL_GONE));
	assert_false(vmc_end_set_flags(&pair->a, VMC_CTL_GONE));
	assert_int_equal(vmc_end_peer_flags(&pair->b),
			 VMC_CTL_FIN | VMC_CTL_GONE);
	assert_int_equal(vmc_end_peer_flags(&pair->a), 0);
}

/* The shared copy of what is ours is only ever stored to. */
static void the_private_index_is_the_truth(void **state)
{
	struct pair *pair = *state;

	vmc_end_produce(&pair->a, 100);
	memset(pair->a.own, 0xa5, 192);
	memset(pair->b.own, 0, 192);
	assert_int_equal(vmc_end_writable(&pair->a), A_BYTES - 100);
	vmc_end_produce(&pair->a, 1);
	vmc_end_await_data(&pair->a);
	vmc_end_set_flags(&pair->a, VMC_CTL_FIN);
	assert_int_equal(le32toh(pair->a.own->prod), 101);
	assert_int_equal(le32toh(pair->a.own->data_wait), 1);
	assert_int_equal(le32toh(pair->a.own->flags), VMC_CTL_FIN);
}

static void an_impossible_producer_index_is_a_lie(void **state)
{
	struct pair *pair = *state;
	uint32_t raw, fill_bytes;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(edges); i++) {
		for (j = 0; j < ARRAY_SIZE(edges); j++) {
			advance_to(&pair->a, &pair->b, edges[i]);
			pair->b.is_lying = false;
			raw = edges[j];
			raw_peer(&pair->b)->prod = htole32(raw);
			fill_bytes = raw - edges[i];
			assert_int_equal(vmc_end_readable(&pair->b),
					 fill_bytes > A_BYTES ? 0 : fill_bytes);
			assert_int_equal(pair->b.is_lying,
					 fill_bytes > A_BYTES);
			assert_int_equal(pair->b.cons, edges[i]);
		}
	}
}

static void an_impossible_consumer_index_is_a_lie(void **state)
{
	struct pair *pair = *state;
	uint32_t raw, fill_bytes;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(edges); i++) {
		for (j = 0; j < ARRAY_SIZE(edges); j++) {
			advance_to(&pair->a, &pair->b, edges[i]);
			pair->a.is_lying = false;
			raw = edges[j];
			raw_peer(&pair->a)->cons = htole32(raw);
			fill_bytes = edges[i] - raw;
			assert_int_equal(vmc_end_writable(&pair->a),
					 fill_bytes > A_BYTES ?
					 0 : A_BYTES - fill_bytes);
			assert_int_equal(pair->a.is_lying,
					 fill_bytes > A_BYTES);
			assert_int_equal(pair->a.prod, edges[i]);
		}
	}
}

static void a_lie_is_not_forgotten(void **state)
{
	struct pair *pair = *state;

	raw_peer(&pair->b)->prod = htole32(A_BYTES + 1);
	assert_int_equal(vmc_end_readable(&pair->b), 0);
	raw_peer(&pair->b)->prod = htole32(10);
	vmc_end_readable(&pair->b);
	assert_true(pair->b.is_lying);
}

/* The producer takes back what is being read, and says more when it is. */
static void an_index_that_changes_midway_is_judged_anew(void **state)
{
	struct pair *pair = *state;
	uint32_t bytes;

	raw_peer(&pair->b)->prod = htole32(1000);
	assert_int_equal(vmc_end_readable(&pair->b), 1000);
	vmc_end_rx_span(&pair->b, 1000, &bytes);
	raw_peer(&pair->b)->prod = htole32(999);
	raw_peer(&pair->b)->space_wait = htole32(1);
	vmc_end_consume(&pair->b, bytes);
	assert_int_equal(le32toh(pair->b.own->cons), 1000);
	assert_true(pair->b.is_lying);

	/* A consumer that goes back within the ring harms itself alone. */
	vmc_end_produce(&pair->a, 1000);
	raw_peer(&pair->a)->cons = htole32(1000);
	assert_int_equal(vmc_end_writable(&pair->a), A_BYTES);
	raw_peer(&pair->a)->cons = 0;
	assert_int_equal(vmc_end_writable(&pair->a), A_BYTES - 1000);
	assert_false(pair->a.is_lying);
	raw_peer(&pair->a)->cons = htole32(1001);
	assert_int_equal(vmc_end_writable(&pair->a), 0);
	assert_true(pair->a.is_lying);
}

static void hostile_wishes_ring_once_a_step(void **state)
{
	struct pair *pair = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(edges); i++) {
		raw_peer(&pair->a)->data_wait = htole32(edges[i]);
		raw_peer(&pair->a)->space_wait = htole32(edges[i]);
		/* 0 is what stood there before. */
		assert_int_equal(vmc_end_produce(&pair->a, 1), edges[i] != 0);
		assert_false(vmc_end_produce(&pair->a, 1));
		assert_int_equal(vmc_end_consume(&pair->a, 0), edges[i] != 0);
		assert_false(vmc_end_consume(&pair->a, 0));
	}
	raw_peer(&pair->a)->flags = 0xffffffff;
	assert_int_equal(vmc_end_peer_flags(&pair->a), 0xffffffff);
	assert_int_equal(vmc_end_readable(&pair->a), 0);
}

static void spans_stay_inside_whatever_the_peer_says(void **state)
{
	struct pair *pair = *state;
	struct vmc_end *end = &pair->a;
	uint32_t raw = 1, bytes;
	uint8_t *to;
	int i;

	for (i = 0; i < 50000; i++) {
		raw = raw * 1664525 + 1013904223;
		/* Near the truth as a rule, or it is a lie each time. */
		raw_peer(end)->cons = htole32(i % 7 ? end->prod -
					      (raw >> 17) : raw);
		to = vmc_end_tx_span(end, vmc_end_writable(end), &bytes);
		assert_true(to >= end->tx && to + bytes <= end->tx + A_BYTES);
		memset(to, 0x5a, bytes);
		vmc_end_produce(end, bytes);
		raw_peer(end)->prod = htole32(i % 5 ? end->cons +
					      (raw >> 16) : raw);
		vmc_end_rx_span(end, vmc_end_readable(end), &bytes);
		assert_true(bytes <= B_BYTES);
		vmc_end_consume(end, bytes);
	}
	assert_true(end->is_lying);
}

#define PAIR_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(a_fresh_circuit_is_empty),
		PAIR_TEST(what_is_sent_is_received),
		PAIR_TEST(a_span_ends_where_the_ring_ends),
		PAIR_TEST(one_bell_answers_one_wish_for_data),
		PAIR_TEST(a_wish_for_space_is_kept_until_there_is_some),
		PAIR_TEST(wishes_count_over_the_wrap),
		PAIR_TEST(flags_add_up_and_ring_when_they_change),
		PAIR_TEST(the_private_index_is_the_truth),
		PAIR_TEST(an_impossible_producer_index_is_a_lie),
		PAIR_TEST(an_impossible_consumer_index_is_a_lie),
		PAIR_TEST(a_lie_is_not_forgotten),
		PAIR_TEST(an_index_that_changes_midway_is_judged_anew),
		PAIR_TEST(hostile_wishes_ring_once_a_step),
		PAIR_TEST(spans_stay_inside_whatever_the_peer_says),
	};

	return cmocka_run_group_tests_name("end", tests, NULL, NULL);
}
