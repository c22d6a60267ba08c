// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lib/end.c and lib/bell.c with two real threads, under TSan. Each side sends
 * a stream and receives the other's, as a relay does, sleeps in poll() on an
 * eventfd that stands for the KICK, and ends at FIN. A lost wake-up fails the
 * test by poll()'s deadline; a lost byte or an early FIN shows in the sums.
 * The protocol itself, one direction without the library, is ring_threads.
 *
 * TSan takes no notice of the fences: see ring_threads_test.c. So this runs
 * without it, too.
 */
#include <endian.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/bell.h"
#include "lib/end.h"

#define SLOT		77U
#define RING_OFFSET	(VMC_CTL_OFFSET + (SLOT + 1) * VMC_PAGE_BYTES)
#define RING_BYTES	VMC_RING_MIN_BYTES
#define DEADLINE_MS	20000

/* A stream of bytes as one side makes it, and the other adds it up. */
struct stream {
	uint64_t nr_bytes;
	uint64_t sum;
};

struct side {
	struct side *other;
	pthread_barrier_t *start;
	uint8_t *segment;
	int kick;		/* eventfd; the other side writes it */
	struct vmc_end end;
	struct vmc_bell bell;
	uint32_t seed;
	uint64_t total_bytes;
	struct stream sent, received;
	bool is_rung;
	bool is_received;	/* FIN, and all before it */
	const char *complaint;
};

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 8;
}

/* Widen the gap between seeing nothing and saying so, where races are. */
static void dawdle(struct side *side)
{
	uint32_t turns = next_random(&side->seed) % 2000;

	for (volatile uint32_t i = 0; i < turns; i++)
		;
}

/* FNV-1a: the order counts, too. */
static void add_up(struct stream *stream, const uint8_t *bytes, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		stream->sum = (stream->sum ^ bytes[i]) * 0x100000001b3ULL;
	stream->nr_bytes += nr;
}

static void ring(struct side *side, bool is_wanted)
{
	if (is_wanted && vmc_bell_ring(&side->bell, SLOT))
		eventfd_write(side->other->kick, 1);
}

/* Return: true when a part was sent, or the end of all. */
static bool send_some(struct side *side)
{
	uint64_t left = side->total_bytes - side->sent.nr_bytes;
	uint32_t wish = 1 + next_random(&side->seed) % 6000;
	uint32_t space = vmc_end_writable(&side->end), bytes;
	uint8_t *to;

	if (!left) {
		if (side->end.flags & VMC_CTL_FIN)
			return false;
		ring(side, vmc_end_set_flags(&side->end, VMC_CTL_FIN));
		return true;
	}
	if (!space) {
		dawdle(side);
		vmc_end_await_space(&side->end);
		space = vmc_end_writable(&side->end);
	}
	if (!space)
		return false;
	wish = wish < space ? wish : space;
	wish = wish < left ? wish : (uint32_t)left;
	to = vmc_end_tx_span(&side->end, wish, &bytes);
	for (uint32_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)next_random(&side->seed);
	add_up(&side->sent, to, bytes);
	ring(side, vmc_end_produce(&side->end, bytes));
	return true;
}

/* Return: true when a part was received, or the end of all. */
static bool receive_some(struct side *side)
{
	uint32_t wish = 1 + next_random(&side->seed) % 9000;
	uint32_t fill = vmc_end_readable(&side->end), flags, bytes;
	const uint8_t *from;

	if (side->is_received)
		return false;
	if (!fill) {
		dawdle(side);
		vmc_end_await_data(&side->end);
		flags = vmc_end_peer_flags(&side->end);
		fill = vmc_end_readable(&side->end);
		side->is_received = !fill && (flags & VMC_CTL_FIN);
		if (!fill)
			return side->is_received;
	}
	from = vmc_end_rx_span(&side->end, wish < fill ? wish : fill, &bytes);
	add_up(&side->received, from, bytes);
	ring(side, vmc_end_consume(&side->end, bytes));
	return true;
}

static void rung(void *owner, uint32_t slot)
{
	struct side *side = owner;

	if (slot == SLOT)
		side->is_rung = true;
	else
		side->complaint = "a bell of another slot";
}

static void sleep_until_rung(struct side *side)
{
	struct pollfd entry = { .fd = side->kick, .events = POLLIN };
	eventfd_t count;

	side->is_rung = false;
	for (;;) {
		vmc_bell_hear(&side->bell, rung, side);
		if (side->is_rung || side->complaint)
			return;
		if (poll(&entry, 1, DEADLINE_MS) != 1) {
			side->complaint = "nobody rang";
			return;
		}
		eventfd_read(side->kick, &count);
	}
}

static void *live(void *argument)
{
	struct side *side = argument;
	bool is_busy;

	pthread_barrier_wait(side->start);
	while (!side->complaint) {
		is_busy = send_some(side);
		is_busy |= receive_some(side);
		if (side->end.is_lying)
			side->complaint = "an impossible index";
		if (is_busy)
			continue;
		if (side->is_received && (side->end.flags & VMC_CTL_FIN))
			break;
		sleep_until_rung(side);
	}
	return NULL;
}

static void join_sides(struct side sides[2], uint32_t first_index)
{
	for (int i = 0; i < 2; i++) {
		struct side *side = &sides[i], *other = &sides[!i];

		side->segment = calloc(1, RING_OFFSET + RING_BYTES);
		assert_non_null(side->segment);
		side->other = other;
		side->kick = eventfd(0, EFD_NONBLOCK);
		assert_true(side->kick >= 0);
	}
	for (int i = 0; i < 2; i++) {
		struct side *side = &sides[i], *other = &sides[!i];

		vmc_end_init(&side->end, side->segment, other->segment, SLOT,
			     RING_OFFSET, RING_BYTES, RING_OFFSET, RING_BYTES);
		vmc_bell_init(&side->bell, side->segment, other->segment);
		vmc_bell_seat(&side->bell, SLOT);
		side->end.prod = first_index;
		side->end.cons = first_index;
		side->end.own->prod = htole32(first_index);
		side->end.own->cons = htole32(first_index);
	}
}

static void part_sides(struct side sides[2])
{
	for (int i = 0; i < 2; i++) {
		close(sides[i].kick);
		free(sides[i].segment);
	}
}

static void run(uint32_t first_index, uint64_t a_bytes, uint64_t b_bytes,
		uint32_t seed)
{
	struct side sides[2] = {
		{ .total_bytes = a_bytes, .seed = seed },
		{ .total_bytes = b_bytes, .seed = seed * 7 + 1 },
	};
	pthread_barrier_t start;
	pthread_t threads[2];

	join_sides(sides, first_index);
	pthread_barrier_init(&start, NULL, 2);
	sides[0].start = &start;
	sides[1].start = &start;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, live,
						&sides[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&start);
	for (int i = 0; i < 2; i++) {
		if (sides[i].complaint)
			fail_msg("side %d: %s", i, sides[i].complaint);
		assert_int_equal(sides[i].sent.nr_bytes, sides[i].total_bytes);
		assert_int_equal(sides[i].received.nr_bytes,
				 sides[!i].total_bytes);
		assert_true(sides[i].received.sum == sides[!i].sent.sum);
	}
	part_sides(sides);
}

static void two_threads_lose_no_byte_and_no_wakeup(void **state)
{
	for (uint32_t seed = 1; seed <= 6; seed++)
		run(0, 1 << 20, 1 << 20, seed);
}

/* No bell of the other direction makes up for one that is lost. */
static void one_way_loses_no_wakeup_either(void **state)
{
	for (uint32_t seed = 1; seed <= 6; seed++)
		run(0, 0, 1 << 21, seed);
}

static void indexes_wrap_while_two_threads_run(void **state)
{
	run(0xffffffffu - 5000, 1 << 19, 1 << 19, 3);
}

static void fin_never_overtakes_data(void **state)
{
	/* Streams that end at once, so that FIN and the last byte meet. */
	for (uint32_t seed = 1; seed <= 300; seed++)
		run(0, seed % 5, 1 + seed * 61, seed);
}

/* Writes nonsense into its segment until it is told to stop. */
static void *lie(void *argument)
{
	struct side *side = argument;
	struct vmc_segment_header *header =
		(struct vmc_segment_header *)side->segment;
	struct vmc_ctl *ctl = side->end.own;
	__le32 *const fields[] = {
		&ctl->prod, &ctl->cons, &ctl->flags, &ctl->data_wait,
		&ctl->space_wait, &header->kick_wanted,
	};
	__le64 *const bits[] = { &header->pending[0], &header->pending[1],
				 &header->ack[1], };
	uint32_t raw;

	while (!__atomic_load_n(&side->is_received, __ATOMIC_RELAXED)) {
		raw = next_random(&side->seed);
		/* Small ones are believed now and then. */
		if (raw % 3)
			raw %= 4 * RING_BYTES;
		__atomic_store_n(fields[raw % 6], raw, __ATOMIC_RELEASE);
		__atomic_store_n(bits[raw % 3], raw * 0x9e3779b97f4a7c15ULL,
				 __ATOMIC_RELEASE);
	}
	return NULL;
}

static void hear_anything(void *owner, uint32_t slot)
{
	if (slot >= 128)
		((struct side *)owner)->complaint = "a slot without a seat";
}

static void a_peer_that_lies_all_the_time_is_survived(void **state)
{
	struct side sides[2] = { { .seed = 11 }, { .seed = 13 } };
	struct vmc_end *end = &sides[0].end;
	unsigned int nr_lies = 0;
	pthread_t liar;
	uint32_t bytes;
	uint8_t *to;

	join_sides(sides, 0);
	assert_int_equal(pthread_create(&liar, NULL, lie, &sides[1]), 0);
	/* As long as there is something to survive, and it was. */
	for (int i = 0; i < 20000 || !nr_lies; i++) {
		to = vmc_end_tx_span(end, vmc_end_writable(end), &bytes);
		for (uint32_t at = 0; at < bytes; at += 512)
			to[at] = (uint8_t)i;
		ring(&sides[0], vmc_end_produce(end, bytes));
		vmc_end_rx_span(end, vmc_end_readable(end), &bytes);
		if (bytes > RING_BYTES)
			sides[0].complaint = "a span beyond the ring";
		ring(&sides[0], vmc_end_consume(end, bytes));
		vmc_bell_hear(&sides[0].bell, hear_anything, &sides[0]);
		nr_lies += end->is_lying;
		end->is_lying = false;
	}
	__atomic_store_n(&sides[1].is_received, true, __ATOMIC_RELAXED);
	pthread_join(liar, NULL);
	assert_null(sides[0].complaint);
	part_sides(sides);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_threads_lose_no_byte_and_no_wakeup),
		cmocka_unit_test(one_way_loses_no_wakeup_either),
		cmocka_unit_test(indexes_wrap_while_two_threads_run),
		cmocka_unit_test(fin_never_overtakes_data),
		cmocka_unit_test(a_peer_that_lies_all_the_time_is_survived),
	};

	return cmocka_run_group_tests_name("end_threads", tests, NULL, NULL);
}
