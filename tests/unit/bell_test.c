// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lib/bell.h: two ends of a doorbell that face each other, and one whose peer
 * writes what it likes.
 */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bell.h"

#define LAST_SLOT	(VMC_SLOTS_PER_LINK - 1U)

struct pair {
	struct vmc_segment_header headers[2];
	struct vmc_bell ringer, listener;
	/* What the listener heard. */
	unsigned int nr_heard;
	uint32_t heard[64];
	bool is_echoing;	/* the peer rings again while it is heard */
};

static int setup(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	assert_non_null(pair);
	vmc_bell_init(&pair->ringer, &pair->headers[0], &pair->headers[1]);
	vmc_bell_init(&pair->listener, &pair->headers[1], &pair->headers[0]);
	*state = pair;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void rung(void *owner, uint32_t slot)
{
	struct pair *pair = owner;

	if (pair->nr_heard < 64)
		pair->heard[pair->nr_heard] = slot;
	pair->nr_heard++;
	if (pair->is_echoing)
		vmc_bell_ring(&pair->ringer, slot);
}

/* Return: how many bells there were. */
static unsigned int hear(struct pair *pair)
{
	pair->nr_heard = 0;
	vmc_bell_hear(&pair->listener, rung, pair);
	return pair->nr_heard;
}

/* The bits that the listener's peer writes. */
static __le64 *raw_pending(struct pair *pair)
{
	return pair->headers[0].pending;
}

static void a_bell_is_heard_once(void **state)
{
	struct pair *pair = *state;
	int i;

	vmc_bell_seat(&pair->listener, 5);
	assert_int_equal(hear(pair), 0);
	/* The bits toggle, so that one round more is not the same. */
	for (i = 0; i < 3; i++) {
		vmc_bell_ring(&pair->ringer, 5);
		assert_int_equal(hear(pair), 1);
		assert_int_equal(pair->heard[0], 5);
		assert_int_equal(hear(pair), 0);
	}
}

static void bells_that_nobody_heard_yet_are_one(void **state)
{
	struct pair *pair = *state;

	vmc_bell_seat(&pair->listener, 5);
	hear(pair);
	assert_true(vmc_bell_ring(&pair->ringer, 5));
	assert_false(vmc_bell_ring(&pair->ringer, 5));
	assert_false(vmc_bell_ring(&pair->ringer, 5));
	assert_int_equal(hear(pair), 1);
	assert_int_equal(hear(pair), 0);
}

static void every_slot_has_its_bell(void **state)
{
	static const uint32_t slots[] = { 0, 1, 62, 63, 64, 127, 4096,
					  LAST_SLOT };
	struct pair *pair = *state;
	unsigned int i;

	for (i = 0; i < 8; i++)
		vmc_bell_seat(&pair->listener, slots[i]);
	for (i = 8; i--;)
		vmc_bell_ring(&pair->ringer, slots[i]);
	assert_int_equal(hear(pair), 8);
	for (i = 0; i < 8; i++)
		assert_int_equal(pair->heard[i], slots[i]);
}

static void a_kick_is_sent_once_for_each_wish(void **state)
{
	struct pair *pair = *state;

	vmc_bell_seat(&pair->listener, 0);
	vmc_bell_seat(&pair->listener, 1);
	/* Nobody has listened yet, and will when the link is up. */
	assert_false(vmc_bell_ring(&pair->ringer, 0));
	assert_int_equal(hear(pair), 1);
	assert_true(vmc_bell_ring(&pair->ringer, 0));
	assert_false(vmc_bell_ring(&pair->ringer, 1));
	assert_int_equal(hear(pair), 2);
	assert_true(vmc_bell_ring(&pair->ringer, 1));
	/* Several hearings in a row are one wish to whoever rings next. */
	hear(pair);
	hear(pair);
	assert_true(vmc_bell_ring(&pair->ringer, 0));
	assert_false(vmc_bell_ring(&pair->ringer, 1));
}

static void wishes_for_kicks_count_over_the_wrap(void **state)
{
	struct pair *pair = *state;

	vmc_bell_seat(&pair->listener, 0);
	pair->listener.kick_wanted = 0xffffffff;
	pair->ringer.kick_seen = 0xffffffff;
	hear(pair);
	assert_int_equal(pair->headers[1].kick_wanted, 0);
	assert_true(vmc_bell_ring(&pair->ringer, 0));
}

/* Who rings before the wish is there sends no KICK, so one looks again. */
static void a_bell_during_the_hearing_is_heard(void **state)
{
	struct pair *pair = *state;

	vmc_bell_seat(&pair->listener, 3);
	vmc_bell_ring(&pair->ringer, 3);
	pair->is_echoing = true;
	assert_int_equal(hear(pair), 2);
	pair->is_echoing = false;
	/* The echo of the second pass is for the next KICK. */
	assert_int_equal(hear(pair), 1);
	assert_int_equal(hear(pair), 0);
}

static void an_earlier_users_bell_does_not_deafen(void **state)
{
	struct pair *pair = *state;

	/* Rung for a slot whose user left, or has not come yet. */
	vmc_bell_ring(&pair->ringer, 70);
	assert_int_equal(hear(pair), 0);
	assert_false(vmc_bell_ring(&pair->ringer, 70));
	vmc_bell_seat(&pair->listener, 70);
	assert_int_equal(hear(pair), 0);
	/* The next one gets through; without the seating it would be held. */
	assert_true(vmc_bell_ring(&pair->ringer, 70));
	assert_int_equal(hear(pair), 1);
	assert_int_equal(pair->heard[0], 70);
}

static void seating_leaves_other_bells_alone(void **state)
{
	struct pair *pair = *state;

	vmc_bell_seat(&pair->listener, 8);
	vmc_bell_ring(&pair->ringer, 8);
	vmc_bell_ring(&pair->ringer, 9);
	vmc_bell_seat(&pair->listener, 9);
	assert_int_equal(hear(pair), 1);
	assert_int_equal(pair->heard[0], 8);
	/* Nor does it invent one where none rang. */
	vmc_bell_seat(&pair->listener, 10);
	assert_int_equal(hear(pair), 0);
}

static void both_sides_ring_at_once(void **state)
{
	struct pair *pair = *state;

	vmc_bell_seat(&pair->listener, 4);
	vmc_bell_seat(&pair->ringer, 4);
	vmc_bell_ring(&pair->ringer, 4);
	vmc_bell_ring(&pair->listener, 4);
	assert_int_equal(hear(pair), 1);
	pair->nr_heard = 0;
	vmc_bell_hear(&pair->ringer, rung, pair);
	assert_int_equal(pair->nr_heard, 1);
}

static void slots_beyond_the_seats_are_not_heard(void **state)
{
	struct pair *pair = *state;
	unsigned int i;

	memset(raw_pending(pair), 0xff, sizeof(pair->headers[0].pending));
	assert_int_equal(hear(pair), 0);
	/* Seating 65 hears its own bit and looks at two words from now on. */
	vmc_bell_seat(&pair->listener, 65);
	assert_int_equal(hear(pair), 127);
	for (i = 0; i < 64; i++)
		assert_int_equal(pair->heard[i], i);
	vmc_bell_seat(&pair->listener, LAST_SLOT);
	assert_int_equal(hear(pair), VMC_SLOTS_PER_LINK - 128 - 1);
}

static void a_hostile_ringer_is_heard_a_bounded_time(void **state)
{
	struct pair *pair = *state;
	uint64_t raw = 1;
	int i;

	vmc_bell_seat(&pair->listener, 127);
	for (i = 0; i < 1000; i++) {
		raw = raw * 6364136223846793005ULL + 1442695040888963407ULL;
		raw_pending(pair)[0] = raw;
		raw_pending(pair)[1] = ~raw;
		raw_pending(pair)[2] = raw;
		pair->headers[0].kick_wanted = (uint32_t)raw;
		assert_true(hear(pair) <= 128);
		assert_int_equal(pair->headers[1].ack[0], raw_pending(pair)[0]);
		assert_int_equal(pair->headers[1].ack[1], raw_pending(pair)[1]);
		assert_int_equal(pair->headers[1].ack[2], 0);
	}
	/* One that never stops is heard once in each of the two passes. */
	vmc_bell_ring(&pair->ringer, 0);
	pair->is_echoing = true;
	assert_true(hear(pair) <= 2 * 128);
}

static void a_hostile_listener_deafens_only_itself(void **state)
{
	struct pair *pair = *state;

	vmc_bell_seat(&pair->listener, 1);
	vmc_bell_seat(&pair->listener, 2);
	hear(pair);
	/* It denies what it heard: no bell, no KICK. */
	vmc_bell_ring(&pair->ringer, 1);
	hear(pair);
	pair->headers[1].ack[0] = 0;
	assert_false(vmc_bell_ring(&pair->ringer, 1));
	/* It claims what it did not hear: at most a bell for each change. */
	pair->headers[1].ack[0] = htole64(2);
	assert_true(vmc_bell_ring(&pair->ringer, 1));
	assert_false(vmc_bell_ring(&pair->ringer, 1));
	/* Other slots are as before. */
	vmc_bell_ring(&pair->ringer, 2);
	assert_int_equal(hear(pair), 2);
}

/* The shared copies of what is ours are only ever stored to. */
static void the_private_bits_are_the_truth(void **state)
{
	struct pair *pair = *state;

	vmc_bell_seat(&pair->listener, 1);
	memset(pair->headers[0].pending, 0xa5, 8);
	memset(pair->headers[1].ack, 0, 8);
	vmc_bell_ring(&pair->ringer, 1);
	assert_int_equal(le64toh(pair->headers[0].pending[0]), 2);
	memset(pair->headers[1].ack, 0xa5, 8);
	assert_int_equal(hear(pair), 1);
	assert_int_equal(le64toh(pair->headers[1].ack[0]), 2);
}

#define PAIR_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(a_bell_is_heard_once),
		PAIR_TEST(bells_that_nobody_heard_yet_are_one),
		PAIR_TEST(every_slot_has_its_bell),
		PAIR_TEST(a_kick_is_sent_once_for_each_wish),
		PAIR_TEST(wishes_for_kicks_count_over_the_wrap),
		PAIR_TEST(a_bell_during_the_hearing_is_heard),
		PAIR_TEST(an_earlier_users_bell_does_not_deafen),
		PAIR_TEST(seating_leaves_other_bells_alone),
		PAIR_TEST(both_sides_ring_at_once),
		PAIR_TEST(slots_beyond_the_seats_are_not_heard),
		PAIR_TEST(a_hostile_ringer_is_heard_a_bounded_time),
		PAIR_TEST(a_hostile_listener_deafens_only_itself),
		PAIR_TEST(the_private_bits_are_the_truth),
	};

	return cmocka_run_group_tests_name("bell", tests, NULL, NULL);
}
