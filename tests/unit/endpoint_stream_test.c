// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lib/vmcircuit.h: what happens to bytes between two processes. They arrive,
 * each once and in order; how they end when somebody closes, or dies; and that
 * the switch is needed for none of it.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/transport.h"
#include "tests/unit/endpoint_world.h"

/* Of each direction; many times the ring, and odd. */
#define STREAM_BYTES	((48U << 20) + 12345)

/* One direction of one side. */
struct half {
	struct vmc_connection *connection;
	uint32_t seed;
	uint64_t sum, nr_bytes;
	int error;
	pthread_t thread;
};

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 8;
}

static void add_up(struct half *half, const uint8_t *bytes, size_t nr)
{
	/* Bytes that change places change it. */
	for (half->nr_bytes += nr; nr--; bytes++)
		half->sum = half->sum * 31 + *bytes;
}

static void *send_all(void *argument)
{
	static const size_t sizes[] = { 1, 7, 4095, 65537, 999983, 3000000 };
	struct half *half = argument;
	uint32_t seed = half->seed;
	size_t room_bytes, i;
	ssize_t room;
	uint8_t *span;

	while (half->nr_bytes < STREAM_BYTES) {
		room_bytes = sizes[next_random(&half->seed) % 6];
		if (room_bytes > STREAM_BYTES - half->nr_bytes)
			room_bytes = STREAM_BYTES - half->nr_bytes;
		room = vmc_reserve(half->connection, room_bytes,
				   (void **)&span);
		if (room == -EAGAIN) {
			if (vmc_wait(half->connection, VMC_WAIT_SPACE,
				     WORLD_TIMEOUT_MS) != VMC_WAIT_SPACE)
				break;
			continue;
		}
		if (room <= 0)
			break;
		for (i = 0; i < (size_t)room; i++)
			span[i] = (uint8_t)((seed = seed * 69069 + 1) >> 24);
		add_up(half, span, (size_t)room);
		half->error = vmc_commit(half->connection, (size_t)room);
		if (half->error)
			break;
	}
	vmc_shutdown(half->connection);
	return NULL;
}

static void *receive_all(void *argument)
{
	struct half *half = argument;
	static __thread uint8_t room[100003];
	ssize_t got;

	do {
		got = vmc_recv(half->connection, room,
			       next_random(&half->seed) % sizeof(room) + 1,
			       WORLD_TIMEOUT_MS);
		if (got > 0)
			add_up(half, room, (size_t)got);
	} while (got > 0);
	half->error = (int)got;
	return NULL;
}

static void every_byte_arrives_both_ways(void **state)
{
	/* Senders of both sides, receivers of both sides. */
	struct half halves[4] = {
		{ .connection = world_ends[0], .seed = 1 },
		{ .connection = world_ends[1], .seed = 2 },
		{ .connection = world_ends[1], .seed = 3 },
		{ .connection = world_ends[0], .seed = 4 },
	};
	unsigned int i;

	(void)state;
	vmc_set_spin(world_ends[0], 20);
	for (i = 0; i < 4; i++)
		pthread_create(&halves[i].thread, NULL,
			       i < 2 ? send_all : receive_all, &halves[i]);
	for (i = 0; i < 4; i++)
		pthread_join(halves[i].thread, NULL);
	for (i = 0; i < 2; i++) {
		assert_int_equal(halves[i].error, 0);
		assert_int_equal(halves[i + 2].error, 0);
		assert_int_equal(halves[i].nr_bytes, STREAM_BYTES);
		assert_int_equal(halves[i + 2].nr_bytes, STREAM_BYTES);
		assert_int_equal(halves[i].sum, halves[i + 2].sum);
	}
}

static void expect_text(struct vmc_connection *connection, const char *text)
{
	char room[64];
	size_t bytes = strlen(text);

	assert_int_equal(vmc_recv(connection, room, bytes, WORLD_TIMEOUT_MS),
			 bytes);
	assert_memory_equal(room, text, bytes);
}

static void say(struct vmc_connection *connection, const char *text)
{
	assert_int_equal(vmc_send(connection, text, strlen(text), 0),
			 strlen(text));
}

/* 0 at the end, or the error. */
static ssize_t how_it_ends(struct vmc_connection *connection)
{
	return vmc_recv(connection, &(char){ 0 }, 1, WORLD_TIMEOUT_MS);
}

static void who_shuts_down_may_still_read(void **state)
{
	void *span;

	(void)state;
	say(world_ends[0], "last words");
	assert_int_equal(vmc_shutdown(world_ends[0]), 0);
	assert_int_equal(vmc_shutdown(world_ends[0]), 0);
	assert_int_equal(vmc_reserve(world_ends[0], 1, &span), -EPIPE);
	expect_text(world_ends[1], "last words");
	assert_int_equal(how_it_ends(world_ends[1]), 0);
	assert_int_equal(how_it_ends(world_ends[1]), 0);
	say(world_ends[1], "answer");
	expect_text(world_ends[0], "answer");
	assert_int_equal(vmc_recv(world_ends[0], &(char){ 0 }, 1, 0), -EAGAIN);
	assert_int_equal(vmc_shutdown(world_ends[1]), 0);
	assert_int_equal(how_it_ends(world_ends[0]), 0);
}

static void who_detaches_is_read_to_the_end(void **state)
{
	void *span;

	(void)state;
	say(world_ends[0], "last words");
	assert_int_equal(vmc_detach(world_ends[0]), 0);
	world_ends[0] = NULL;
	assert_int_equal(vmc_reserve(world_ends[1], 1, &span), -EPIPE);
	expect_text(world_ends[1], "last words");
	assert_int_equal(how_it_ends(world_ends[1]), 0);
}

static void who_detaches_with_unread_bytes_resets(void **state)
{
	void *span;

	(void)state;
	say(world_ends[1], "unread");
	assert_int_equal(vmc_detach(world_ends[0]), 0);
	world_ends[0] = NULL;
	assert_int_equal(how_it_ends(world_ends[1]), -ECONNRESET);
	assert_int_equal(vmc_reserve(world_ends[1], 1, &span), -ECONNRESET);
}

static void a_stray_byte_on_the_socket_is_no_end(void **state)
{
	(void)state;
	assert_int_equal(send(world_ends[0]->fd, "", 1, 0), 1);
	/* Whatever happened before. */
	errno = ECONNRESET;
	assert_int_equal(vmc_wait(world_ends[1], VMC_WAIT_DATA, 1200), 0);
	say(world_ends[0], "well");
	expect_text(world_ends[1], "well");
}

/* A process that dials "b", says something, and then waits for its death. */
static void live_as_a(int socket)
{
	struct vmc_connection *connection;
	struct vmc_endpoint *endpoint;
	char word[4];
	int error;

	error = vmc_endpoint_open(world_path("a"), &endpoint);
	if (!error)
		error = world_dial(endpoint, WORLD_B, 80, WORLD_TIMEOUT_MS,
				   &connection);
	if (!error && vmc_recv(connection, word, 4, WORLD_TIMEOUT_MS) != 4)
		error = -EPROTO;
	if (!error && vmc_send(connection, "last words", 10, 0) != 10)
		error = -EPROTO;
	world_tell(socket, error);
	/* And another one, when the world changed. */
	while (!error && world_hear(socket) != ECHILD)
		world_tell(socket, vmc_send(connection, "still here", 10, 0) ==
			   10 ? 0 : -EPROTO);
	_exit(2);
}

static struct vmc_endpoint *b;
static struct vmc_listener *listener;
static struct vmc_connection *to_child;
static struct world_child child;

static int start_child(void **state)
{
	world_start(state);
	b = world_open("b");
	assert_int_equal(world_listen(b, WORLD_B, 80, &listener), 0);
	child = world_fork(live_as_a);
	assert_int_equal(vmc_accept(listener, WORLD_TIMEOUT_MS, NULL,
				    &to_child), 0);
	say(to_child, "talk");
	assert_int_equal(world_hear(child.socket), 0);
	return 0;
}

static int stop_child(void **state)
{
	assert_int_equal(vmc_detach(to_child), 0);
	vmc_unlisten(listener);
	assert_int_equal(vmc_endpoint_close(b), 0);
	return world_stop(state);
}

static void kill_child(void)
{
	world_end_child(&child, SIGKILL);
}

static void who_is_killed_is_read_to_the_end(void **state)
{
	void *span;

	(void)state;
	kill_child();
	expect_text(to_child, "last words");
	assert_int_equal(how_it_ends(to_child), 0);
	assert_int_equal(vmc_reserve(to_child, 1, &span), -EPIPE);
}

static void who_is_killed_with_unread_bytes_resets(void **state)
{
	(void)state;
	say(to_child, "unread");
	kill_child();
	/* What it said may be read; that it did not read us is told. */
	while (vmc_recv(to_child, &(char){ 0 }, 1, WORLD_TIMEOUT_MS) > 0)
		;
	assert_int_equal(how_it_ends(to_child), -ECONNRESET);
}

static void lose_switch(int signal)
{
	struct vmc_connection *connection;

	world_kill_switch(signal);
	world_tell(child.socket, 0);
	assert_int_equal(world_hear(child.socket), 0);
	expect_text(to_child, "last wordsstill here");
	say(to_child, "more");
	assert_int_equal(vmc_wait(to_child, VMC_WAIT_DATA, 1200), 0);
	assert_int_equal(world_dial(b, WORLD_A, 80, 1000, &connection),
			 -ENOTCONN);
	assert_int_equal(vmc_accept(listener, 1000, NULL, &connection),
			 -ENOTCONN);
	world_tell(child.socket, 0);
	assert_int_equal(world_hear(child.socket), 0);
	expect_text(to_child, "still here");
}

static void a_circuit_outlives_a_killed_switch(void **state)
{
	uint64_t begin_ms;

	(void)state;
	lose_switch(SIGKILL);
	kill_child();
	begin_ms = world_now_ms();
	assert_int_equal(how_it_ends(to_child), -ECONNRESET);
	assert_in_range(world_now_ms() - begin_ms, 0, 2000);
}

static void a_circuit_outlives_a_stopped_switch(void **state)
{
	(void)state;
	lose_switch(SIGTERM);
	kill_child();
	assert_int_equal(how_it_ends(to_child), -ECONNRESET);
}

static void a_writer_notices_that_all_are_gone(void **state)
{
	static const char bytes[65536];
	uint64_t begin_ms;
	void *span;

	(void)state;
	while (vmc_send(to_child, bytes, sizeof(bytes), 0) > 0)
		;
	assert_int_equal(vmc_reserve(to_child, 1, &span), -EAGAIN);
	world_kill_switch(SIGKILL);
	kill_child();
	begin_ms = world_now_ms();
	assert_int_equal(vmc_wait(to_child, VMC_WAIT_SPACE, WORLD_TIMEOUT_MS),
			 VMC_WAIT_SPACE);
	assert_in_range(world_now_ms() - begin_ms, 0, 2000);
	assert_int_equal(vmc_reserve(to_child, 1, &span), -ECONNRESET);
}

static void a_poll_loop_notices_that_all_are_gone(void **state)
{
	struct pollfd poll_fd = { .fd = vmc_fd(to_child) };
	unsigned int nr_turns = 0;
	uint64_t begin_ms;
	const void *span;
	ssize_t got;

	(void)state;
	poll_fd.events = vmc_events(to_child, VMC_WAIT_DATA);
	expect_text(to_child, "last words");
	world_kill_switch(SIGKILL);
	kill_child();
	begin_ms = world_now_ms();
	while ((got = vmc_peek(to_child, 1, &span)) == -EAGAIN) {
		assert_int_equal(poll(&poll_fd, 1, 2000), 1);
		assert_in_range(world_now_ms() - begin_ms, 0, 2000);
		nr_turns++;
	}
	assert_int_equal(got, -ECONNRESET);
	/* It slept meanwhile. */
	assert_in_range(nr_turns, 0, 100);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define PAIR(name) \
	cmocka_unit_test_setup_teardown(name, world_start_pair, world_stop_pair)
#define CHILD(name) \
	cmocka_unit_test_setup_teardown(name, start_child, stop_child)
		PAIR(every_byte_arrives_both_ways),
		PAIR(who_shuts_down_may_still_read),
		PAIR(who_detaches_is_read_to_the_end),
		PAIR(who_detaches_with_unread_bytes_resets),
		PAIR(a_stray_byte_on_the_socket_is_no_end),
		CHILD(who_is_killed_is_read_to_the_end),
		CHILD(who_is_killed_with_unread_bytes_resets),
		CHILD(a_circuit_outlives_a_killed_switch),
		CHILD(a_circuit_outlives_a_stopped_switch),
		CHILD(a_writer_notices_that_all_are_gone),
		CHILD(a_poll_loop_notices_that_all_are_gone),
	};

	if (argc != 2)
		return 2;
	world_init(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
