// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The diagram of proto/ring.h with two real threads, under TSan: a producer
 * and a consumer of one ring sleep and wake each other by the wait counters
 * (A to D), by way of the doorbell bitmap and kick_wanted (E, F). A lost
 * wake-up leaves a thread asleep, and poll()'s deadline fails the test.
 *
 * TSan takes no notice of the fences: the payload must be published by the
 * release store of prod and taken by its acquire, as the protocol says.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/ring.h"

#define RING_BYTES	VMC_RING_MIN_BYTES
#define DEADLINE_MS	20000
#define SLOT		77

/* What one side shares: the parts of header and control page it writes. */
struct side {
	struct vmc_segment_header header;
	struct vmc_ctl ctl;
	int kick[2];		/* the switch: a byte per KICK for this side */

	/* Private. */
	uint64_t my_pending;	/* of the slot's word */
	uint64_t my_ack;
	uint32_t my_kick_wanted;
	uint32_t seen_kick_wanted;
	uint32_t seen_wait;
	uint64_t nr_kicks;
	uint64_t nr_bells;
};

struct world {
	struct side producer, consumer;
	unsigned char ring[RING_BYTES];
	uint32_t first_index;
	uint64_t total_bytes;
	unsigned int seed;
	bool failed_producer, failed_consumer;
};

static uint32_t load32(const __le32 *field)
{
	return __atomic_load_n(field, __ATOMIC_ACQUIRE);
}

static void store32(__le32 *field, uint32_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELEASE);
}

static uint64_t load64(const __le64 *field)
{
	return __atomic_load_n(field, __ATOMIC_ACQUIRE);
}

static void store64(__le64 *field, uint64_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELEASE);
}

/* TSan does not see fences, so it checks that release and acquire suffice. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wtsan"
static void full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
#pragma GCC diagnostic pop

/* Ring the other side's bell for the slot, by E and F. */
static void ring_bell(struct side *me, struct side *other)
{
	const uint64_t bit = 1ULL << (SLOT % 64);
	uint32_t wanted;

	full_barrier();					/* (E) */
	if ((me->my_pending ^ load64(&other->header.ack[SLOT / 64])) & bit)
		return;
	me->my_pending ^= bit;
	me->nr_bells++;
	store64(&me->header.pending[SLOT / 64], me->my_pending);
	full_barrier();					/* (F) */
	wanted = load32(&other->header.kick_wanted);
	if (wanted == me->seen_kick_wanted)
		return;
	me->seen_kick_wanted = wanted;
	me->nr_kicks++;
	assert_int_equal(write(other->kick[1], "k", 1), 1);
}

/* Take the bells that the other side rang; true: there was one. */
static bool hear_bell(struct side *me, struct side *other)
{
	const uint64_t bit = 1ULL << (SLOT % 64);
	uint64_t heard = (load64(&other->header.pending[SLOT / 64]) ^
			  me->my_ack) & bit;

	if (!heard)
		return false;
	me->my_ack ^= heard;
	store64(&me->header.ack[SLOT / 64], me->my_ack);
	full_barrier();					/* (E') */
	return true;
}

/* Sleep until the bell rings; false: nobody rang in time. */
static bool sleep_for_bell(struct side *me, struct side *other)
{
	struct pollfd entry = { .fd = me->kick[0], .events = POLLIN };
	char drain[64];

	if (hear_bell(me, other))
		return true;
	store32(&me->header.kick_wanted, ++me->my_kick_wanted);
	full_barrier();					/* (F') */
	for (;;) {
		if (hear_bell(me, other))
			return true;
		if (poll(&entry, 1, DEADLINE_MS) != 1)
			return false;
		if (read(me->kick[0], drain, sizeof(drain)) < 1)
			return false;
		/* After a KICK one looks, and asks for the next before that. */
		store32(&me->header.kick_wanted, ++me->my_kick_wanted);
		full_barrier();				/* (F') */
	}
}

static unsigned int next_random(unsigned int *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 8;
}

/* Widen the gap between seeing nothing and saying so, where races are. */
static void dawdle(unsigned int *seed)
{
	unsigned int turns = next_random(seed) % 2000;

	for (volatile unsigned int i = 0; i < turns; i++)
		;
}

static void *produce(void *argument)
{
	struct world *world = argument;
	struct side *me = &world->producer, *other = &world->consumer;
	uint32_t prod = world->first_index, wait = 0, space_wait = 0;
	unsigned int seed = world->seed;
	uint64_t done = 0;

	while (done < world->total_bytes) {
		uint32_t cons = load32(&other->ctl.cons);	/* (C') */
		uint32_t space = RING_BYTES - vmc_ring_fill(prod, cons);
		uint32_t n = 1 + next_random(&seed) % 6000;

		assert_true(space <= RING_BYTES);
		if (!space) {
			dawdle(&seed);
			store32(&me->ctl.space_wait, ++space_wait);
			full_barrier();				/* (D') */
			if (load32(&other->ctl.cons) != cons)
				continue;
			if (!sleep_for_bell(me, other)) {
				world->failed_producer = true;
				return NULL;
			}
			continue;
		}
		n = n < space ? n : space;
		if (n > world->total_bytes - done)
			n = world->total_bytes - done;
		n = vmc_ring_span(prod, RING_BYTES, n);
		for (uint32_t i = 0; i < n; i++)
			world->ring[(prod + i) & (RING_BYTES - 1)] =
				(done + i) % 251;
		prod += n;
		done += n;
		store32(&me->ctl.prod, prod);			/* (A) */
		full_barrier();					/* (B) */
		wait = load32(&other->ctl.data_wait);
		if (wait != me->seen_wait) {
			me->seen_wait = wait;
			ring_bell(me, other);
		}
	}
	return NULL;
}

static void *consume(void *argument)
{
	struct world *world = argument;
	struct side *me = &world->consumer, *other = &world->producer;
	uint32_t cons = world->first_index, wait = 0, data_wait = 0;
	unsigned int seed = world->seed * 7 + 1;
	uint64_t done = 0;

	while (done < world->total_bytes) {
		uint32_t prod = load32(&other->ctl.prod);	/* (A') */
		uint32_t fill = vmc_ring_fill(prod, cons);
		uint32_t n = 1 + next_random(&seed) % 9000;

		assert_true(fill <= RING_BYTES);
		if (!fill) {
			dawdle(&seed);
			store32(&me->ctl.data_wait, ++data_wait);
			full_barrier();				/* (B') */
			if (load32(&other->ctl.prod) != prod)
				continue;
			if (!sleep_for_bell(me, other)) {
				world->failed_consumer = true;
				return NULL;
			}
			continue;
		}
		n = vmc_ring_span(cons, RING_BYTES, n < fill ? n : fill);
		for (uint32_t i = 0; i < n; i++) {
			if (world->ring[(cons + i) & (RING_BYTES - 1)] !=
			    (done + i) % 251) {
				world->failed_consumer = true;
				return NULL;
			}
		}
		cons += n;
		done += n;
		store32(&me->ctl.cons, cons);			/* (C) */
		full_barrier();					/* (D) */
		wait = load32(&other->ctl.space_wait);
		if (wait != me->seen_wait) {
			me->seen_wait = wait;
			ring_bell(me, other);
		}
	}
	return NULL;
}

static struct world *run(uint32_t first_index, uint64_t total_bytes,
			 unsigned int seed)
{
	struct world *world = calloc(1, sizeof(*world));
	pthread_t producer, consumer;

	assert_non_null(world);
	world->first_index = first_index;
	world->total_bytes = total_bytes;
	world->seed = seed;
	world->producer.ctl.prod = first_index;
	world->consumer.ctl.cons = first_index;
	assert_int_equal(pipe(world->producer.kick), 0);
	assert_int_equal(pipe(world->consumer.kick), 0);
	assert_int_equal(pthread_create(&consumer, NULL, consume, world), 0);
	assert_int_equal(pthread_create(&producer, NULL, produce, world), 0);
	pthread_join(producer, NULL);
	pthread_join(consumer, NULL);
	for (int i = 0; i < 2; i++) {
		close(world->producer.kick[i]);
		close(world->consumer.kick[i]);
	}
	assert_false(world->failed_producer);
	assert_false(world->failed_consumer);
	return world;
}

static void two_threads_lose_no_byte_and_no_wakeup(void **state)
{
	for (unsigned int seed = 1; seed <= 8; seed++)
		free(run(0, 2 << 20, seed));
}

static void indexes_wrap_while_two_threads_run(void **state)
{
	struct world *world = run(0xffffffffu - 5000, 1 << 20, 3);

	assert_true(world->producer.ctl.prod < 1 << 20);
	free(world);
}

static void sleepers_are_woken_by_few_kicks(void **state)
{
	struct world *world = run(0, 4 << 20, 5);

	/* No KICK without a flip of a bell, no flip without a wait. */
	assert_true(world->producer.nr_kicks <= world->producer.nr_bells);
	assert_true(world->producer.nr_bells <=
		    world->consumer.ctl.data_wait);
	assert_true(world->consumer.nr_bells <=
		    world->producer.ctl.space_wait);
	free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_threads_lose_no_byte_and_no_wakeup),
		cmocka_unit_test(indexes_wrap_while_two_threads_run),
		cmocka_unit_test(sleepers_are_woken_by_few_kicks),
	};

	return cmocka_run_group_tests_name("ring_threads", tests, NULL, NULL);
}
