// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lib/vmcircuit.h in poll loops: the descriptors fire when there is something
 * to do, not for ever, and never too late. A wake-up that is lost fails a test
 * by its deadline.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/unit/endpoint_world.h"

/* One side: writes its numbers, reads the other's, in one epoll loop. */
struct side {
	struct vmc_connection *connection;
	uint32_t seed;
	uint32_t nr_to_send, nr_to_receive;
	/* It sends one more than what it received, times and by these. */
	uint32_t factor, divisor;
	uint32_t batch;			/* messages in one commit */
	uint32_t nr_sent, nr_received;
	const char *complaint;
	unsigned int nr_sleeps[2];	/* for data only; for space, too */
	pthread_t thread;
};

/* Up to so many messages without a look at the other direction. */
static uint32_t some(struct side *side)
{
	side->seed = side->seed * 1103515245 + 12345;
	/* Often one, so that the rings run empty. */
	return side->seed >> 31 ? 1 : (side->seed >> 8) % 5000 + 1;
}

static bool may_send(const struct side *side)
{
	return side->nr_sent < side->nr_to_send &&
	       (side->nr_received == side->nr_to_receive ||
		side->nr_sent <= (uint64_t)side->nr_received * side->factor /
				 side->divisor);
}

/* Whether it is to wait for space. */
static bool send_some(struct side *side)
{
	uint32_t nr, i, *span;
	ssize_t room;

	for (nr = some(side); nr && may_send(side); nr--) {
		i = side->nr_to_send - side->nr_sent;
		room = vmc_reserve(side->connection, sizeof(*span) *
				   (i < side->batch ? i : side->batch),
				   (void **)&span);
		if (room == -EAGAIN)
			return true;
		if (room <= 0 || room % sizeof(*span)) {
			side->complaint = "a reservation fails";
			return false;
		}
		for (i = 0; i < room / sizeof(*span); i++)
			span[i] = side->nr_sent++;
		if (vmc_commit(side->connection, (size_t)room))
			side->complaint = "a commit fails";
	}
	return false;
}

/* Whether it is to wait for data. */
static bool receive_some(struct side *side)
{
	const uint32_t *span;
	uint32_t nr;
	ssize_t got;

	for (nr = some(side); nr && side->nr_received < side->nr_to_receive;
	     nr--) {
		got = vmc_peek(side->connection, sizeof(*span),
			       (const void **)&span);
		if (got == -EAGAIN)
			return true;
		if (got != sizeof(*span) || *span != side->nr_received) {
			side->complaint = "a message is not the next one";
			return false;
		}
		side->nr_received++;
		if (vmc_release(side->connection, sizeof(*span)))
			side->complaint = "a release fails";
	}
	return false;
}

static bool is_done(const struct side *side)
{
	return side->nr_sent == side->nr_to_send &&
	       side->nr_received == side->nr_to_receive;
}

static void *run_side(void *argument)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct side *side = argument;
	int set = epoll_create1(EPOLL_CLOEXEC);
	bool is_full, is_empty;

	if (epoll_ctl(set, EPOLL_CTL_ADD, vmc_fd(side->connection), &event))
		side->complaint = "no descriptor to poll";
	while (!side->complaint && !is_done(side)) {
		is_full = send_some(side);
		is_empty = receive_some(side);
		if (side->complaint || is_done(side))
			break;
		if ((may_send(side) && !is_full) ||
		    (side->nr_received < side->nr_to_receive && !is_empty))
			continue;
		side->nr_sleeps[is_full]++;
		if (epoll_wait(set, &event, 1, WORLD_TIMEOUT_MS) != 1)
			side->complaint = "a wake-up was lost";
	}
	close(set);
	return NULL;
}

static void run_sides(struct side *sides)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		sides[i].connection = world_ends[i];
		sides[i].seed = i + 1;
		sides[i].nr_to_receive = sides[!i].nr_to_send;
		/* Before the threads: the peer's first bell may be for it. */
		assert_true(vmc_fd(world_ends[i]) >= 0);
	}
	for (i = 0; i < 2; i++)
		pthread_create(&sides[i].thread, NULL, run_side, &sides[i]);
	for (i = 0; i < 2; i++) {
		pthread_join(sides[i].thread, NULL);
		print_message("side %u: %u sent, %u received, %u + %u sleeps\n",
			      i, sides[i].nr_sent, sides[i].nr_received,
			      sides[i].nr_sleeps[0], sides[i].nr_sleeps[1]);
	}
	for (i = 0; i < 2; i++) {
		if (sides[i].complaint)
			fail_msg("side %u: %s", i, sides[i].complaint);
	}
}

/* Each runs ahead of the other by a few, and often finds nothing. */
static void no_wake_up_for_data_is_lost(void **state)
{
	struct side sides[2] = {
		{ .nr_to_send = 400000, .factor = 1, .divisor = 1, .batch = 1 },
		{ .nr_to_send = 400000, .factor = 1, .divisor = 1, .batch = 1 },
	};

	(void)state;
	run_sides(sides);
	assert_true(sides[0].nr_sleeps[0] + sides[1].nr_sleeps[0] > 0);
}

/* One sends all it can, the other now and then an answer. */
static void no_wake_up_for_space_is_lost(void **state)
{
	struct side sides[2] = {
		{ .nr_to_send = 8000000, .factor = 8000000, .divisor = 1,
		  .batch = 500 },
		{ .nr_to_send = 80000, .factor = 1, .divisor = 100,
		  .batch = 1 },
	};

	(void)state;
	run_sides(sides);
	assert_true(sides[0].nr_sleeps[1] > 0);
}

/* Messages go to and fro, so each one finds the other asleep. */
static void *echo(void *argument)
{
	struct vmc_connection *connection = argument;
	struct pollfd poll_fd = { vmc_fd(connection), POLLIN, 0 };
	const void *span;
	ssize_t got;

	for (;;) {
		got = vmc_peek(connection, 4, &span);
		if (!got)
			return NULL;
		if (got == 4) {
			if (vmc_send(connection, span, 4, 0) != 4 ||
			    vmc_release(connection, 4))
				return "echo fails";
		} else if (poll(&poll_fd, 1, WORLD_TIMEOUT_MS) != 1) {
			return "echo: a wake-up was lost";
		}
	}
}

static void each_message_wakes(void **state)
{
	struct pollfd poll_fd = { vmc_fd(world_ends[0]), POLLIN, 0 };
	const uint32_t *span;
	pthread_t thread;
	uint32_t i;
	ssize_t got;
	void *complaint;

	(void)state;
	pthread_create(&thread, NULL, echo, world_ends[1]);
	for (i = 0; i < 30000; i++) {
		assert_int_equal(vmc_send(world_ends[0], &i, 4, 0), 4);
		while ((got = vmc_peek(world_ends[0], 4, (const void **)&span)) ==
		       -EAGAIN)
			assert_int_equal(poll(&poll_fd, 1, WORLD_TIMEOUT_MS),
					 1);
		assert_int_equal(got, 4);
		assert_int_equal(*span, i);
		assert_int_equal(vmc_release(world_ends[0], 4), 0);
	}
	assert_int_equal(vmc_shutdown(world_ends[0]), 0);
	pthread_join(thread, &complaint);
	if (complaint)
		fail_msg("%s", (char *)complaint);
}

static bool fires(int fd, int timeout_ms)
{
	struct pollfd poll_fd = { fd, POLLIN, 0 };

	return poll(&poll_fd, 1, timeout_ms) == 1;
}

/* Nothing can be had of either; then the descriptor is silent. */
static void fill_and_look(struct vmc_connection *connection)
{
	static const char bytes[65536];
	const void *data;
	void *room;

	while (vmc_send(connection, bytes, sizeof(bytes), 0) > 0)
		;
	/* It may fire for what happened up to now. */
	do {
		assert_int_equal(vmc_peek(connection, 1, &data), -EAGAIN);
		assert_int_equal(vmc_reserve(connection, 1, &room), -EAGAIN);
	} while (fires(vmc_fd(connection), 0));
}

static void the_descriptor_is_silent_until_it_matters(void **state)
{
	static char bytes[65536];
	int fd = vmc_fd(world_ends[0]);
	const void *data;
	void *room;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(vmc_fd(world_ends[0]), fd);
	fill_and_look(world_ends[0]);
	assert_false(fires(fd, 50));
	/* Data. */
	assert_int_equal(vmc_send(world_ends[1], "x", 1, 0), 1);
	assert_true(fires(fd, WORLD_TIMEOUT_MS));
	assert_int_equal(vmc_recv(world_ends[0], bytes, 1, 0), 1);
	fill_and_look(world_ends[0]);
	/* A little room is not worth it, a third of the ring is. */
	assert_int_equal(vmc_recv(world_ends[1], bytes, 1, 0), 1);
	assert_false(fires(fd, 50));
	while (!fires(fd, 0))
		assert_true(vmc_recv(world_ends[1], bytes, sizeof(bytes), 0) > 0);
	assert_true(vmc_reserve(world_ends[0], 1, &room) > 0);
	fill_and_look(world_ends[0]);
	/* The end. */
	assert_int_equal(vmc_shutdown(world_ends[1]), 0);
	assert_true(fires(fd, WORLD_TIMEOUT_MS));
	assert_int_equal(vmc_peek(world_ends[0], 1, &data), 0);
	assert_int_equal(vmc_events(world_ends[0], 0), 0);
}

/* From a turn in which it wants room to one in which it does not. */
static void a_wish_that_is_given_up_ends(void **state)
{
	static char bytes[65536];
	const void *data;
	unsigned int i;
	int fd = vmc_fd(world_ends[0]);

	(void)state;
	fill_and_look(world_ends[0]);
	while (vmc_recv(world_ends[1], bytes, sizeof(bytes), 0) > 0)
		;
	/* There is room for ever; who reads only is not told so for ever. */
	for (i = 0; fires(fd, 0); i++) {
		assert_in_range(i, 0, 10);
		assert_int_equal(vmc_peek(world_ends[0], 1, &data), -EAGAIN);
	}
	assert_int_equal(vmc_send(world_ends[1], "x", 1, 0), 1);
	assert_true(fires(fd, WORLD_TIMEOUT_MS));
}

static void *dial_some(void *argument)
{
	struct vmc_endpoint *endpoint = argument;
	struct vmc_connection *connection;
	const char *complaint = NULL;
	unsigned int i;

	for (i = 0; i < 200 && !complaint; i++) {
		if (world_dial(endpoint, WORLD_B, 80 + i % 2, WORLD_TIMEOUT_MS,
			       &connection))
			complaint = "a dial fails";
		else
			vmc_detach(connection);
	}
	return (void *)complaint;
}

static void an_endpoint_tells_of_offers(void **state)
{
	struct vmc_endpoint *a = world_open("a"), *b = world_open("b");
	struct vmc_listener *listeners[2];
	struct vmc_connection *connection;
	unsigned int i, nr[2] = { 0 };
	int error, fd = vmc_endpoint_fd(b);
	pthread_t thread;
	void *complaint;

	(void)state;
	assert_int_equal(world_listen(b, WORLD_B, 80, &listeners[0]), 0);
	assert_int_equal(world_listen(b, WORLD_B, 81, &listeners[1]), 0);
	assert_false(fires(fd, 50));
	pthread_create(&thread, NULL, dial_some, a);
	while (nr[0] + nr[1] < 200) {
		assert_true(fires(fd, WORLD_TIMEOUT_MS));
		for (i = 0; i < 2; i++) {
			while (!(error = vmc_accept(listeners[i], 0, NULL,
						    &connection))) {
				assert_int_equal(vmc_detach(connection), 0);
				nr[i]++;
			}
			assert_int_equal(error, -EAGAIN);
		}
	}
	assert_int_equal(nr[0], nr[1]);
	pthread_join(thread, &complaint);
	assert_null(complaint);
	assert_int_equal(vmc_endpoint_close(a), 0);
	/* That "a" left comes to be known here, and is nothing to accept. */
	assert_true(fires(fd, WORLD_TIMEOUT_MS));
	assert_int_equal(vmc_accept(listeners[0], 0, NULL, &connection),
			 -EAGAIN);
	assert_false(fires(fd, 50));
	/* The end of the switch is. */
	world_kill_switch(SIGKILL);
	assert_true(fires(fd, WORLD_TIMEOUT_MS));
	assert_int_equal(vmc_accept(listeners[0], 0, NULL, &connection),
			 -ENOTCONN);
	vmc_unlisten(listeners[0]);
	vmc_unlisten(listeners[1]);
	assert_int_equal(vmc_endpoint_close(b), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define PAIR(name) \
	cmocka_unit_test_setup_teardown(name, world_start_pair, world_stop_pair)
		PAIR(no_wake_up_for_data_is_lost),
		PAIR(no_wake_up_for_space_is_lost),
		PAIR(each_message_wakes),
		PAIR(the_descriptor_is_silent_until_it_matters),
		PAIR(a_wish_that_is_given_up_ends),
		cmocka_unit_test_setup_teardown(an_endpoint_tells_of_offers,
						world_start, world_stop),
	};

	if (argc != 2)
		return 2;
	world_init(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
