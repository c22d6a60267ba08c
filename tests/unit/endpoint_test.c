// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lib/vmcircuit.h: processes as endpoints of a real switch. Who may be one,
 * whom it reaches by which name, and what it is told otherwise.
 */
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/endpoint_world.h"

#define NR_DIALS	1000

static void an_endpoint_opens_and_closes(void **state)
{
	struct vmc_endpoint *endpoint = NULL;

	(void)state;
	assert_int_equal(vmc_endpoint_open(world_path("none"), &endpoint),
			 -ENOENT);
	assert_null(endpoint);
	endpoint = world_open("a");
	assert_int_equal(vmc_endpoint_close(endpoint), 0);
	endpoint = world_open("a");
	assert_int_equal(vmc_endpoint_close(endpoint), 0);
}

/* What vmc_endpoint_open() says to a process of other rights. */
static struct {
	uid_t user;
	gid_t group;
	unsigned int nr_groups;
	gid_t groups[2];
} rights;

static void open_with_rights(int socket)
{
	struct vmc_endpoint *endpoint;

	if (setgroups(rights.nr_groups, rights.groups) ||
	    setgid(rights.group) || setuid(rights.user))
		_exit(1);
	world_tell(socket, vmc_endpoint_open(world_path("a"), &endpoint));
}

static int try_with_rights(uid_t user, gid_t group, gid_t other_group)
{
	struct world_child child;
	int answer;

	rights.user = user;
	rights.group = group;
	/* Some more, as people have. */
	rights.nr_groups = 2;
	rights.groups[0] = 1;
	rights.groups[1] = other_group;
	child = world_fork(open_with_rights);
	answer = world_hear(child.socket);
	world_end_child(&child, 0);
	return answer;
}

static void who_is_not_named_is_turned_away(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	/* By default root may come, and its group is nothing special. */
	assert_int_equal(try_with_rights(0, 0, 0), 0);
	world_expect_log("is turned away: it is not in users or groups");
	assert_int_equal(try_with_rights(WORLD_USER, 0, 0), -EACCES);
	assert_int_equal(try_with_rights(WORLD_USER, WORLD_GROUP, WORLD_GROUP),
			 -EACCES);
}

static int start_with_user(void **state)
{
	(void)state;
	world_start_with("endpoint \"a\" { socket = \"@/a\" "
			 "addresses = { \"" WORLD_A "/24\" } "
			 "users = { \"54321\" } }\n");
	return 0;
}

static int start_with_group(void **state)
{
	(void)state;
	world_start_with("endpoint \"a\" { socket = \"@/a\" "
			 "addresses = { \"" WORLD_A "/24\" } "
			 "users = { } groups = { \"60000\", \"54322\" } }\n");
	return 0;
}

static void a_named_user_comes(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(try_with_rights(WORLD_USER, 1, 1), 0);
	world_expect_log("is turned away: it is not in users or groups");
	/* Not even root, unless it is named. */
	assert_int_equal(try_with_rights(0, 0, 0), -EACCES);
	assert_int_equal(try_with_rights(WORLD_USER + 1, WORLD_USER,
					 WORLD_USER), -EACCES);
}

static void a_member_of_a_named_group_comes(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(try_with_rights(WORLD_USER, WORLD_GROUP, 1), 0);
	assert_int_equal(try_with_rights(WORLD_USER, 1, WORLD_GROUP), 0);
	world_expect_log("is turned away: it is not in users or groups");
	assert_int_equal(try_with_rights(WORLD_USER, 1, 1), -EACCES);
	assert_int_equal(try_with_rights(WORLD_GROUP, 1, 1), -EACCES);
}

static int start_with_two_seats(void **state)
{
	(void)state;
	world_start_with("endpoint \"a\" { socket = \"@/a\" "
			 "addresses = { \"" WORLD_A "/24\" } "
			 "max_processes = 2 }\n");
	return 0;
}

static void no_more_than_max_processes_come(void **state)
{
	struct vmc_endpoint *first, *second, *third;
	unsigned int i;

	(void)state;
	first = world_open("a");
	/* Who leaves makes room at once. */
	for (i = 0; i < 300; i++) {
		second = world_open("a");
		assert_int_equal(vmc_endpoint_close(second), 0);
	}
	second = world_open("a");
	world_expect_log("is turned away: there are 2 already (max_processes)");
	assert_int_equal(vmc_endpoint_open(world_path("a"), &third), -EACCES);
	assert_int_equal(vmc_endpoint_close(first), 0);
	first = world_open("a");
	assert_int_equal(vmc_endpoint_close(second), 0);
	assert_int_equal(vmc_endpoint_close(first), 0);
}

static void expect_bytes(struct vmc_connection *from, struct vmc_connection *to)
{
	char room[8];

	assert_int_equal(vmc_send(from, "hello", 5, 0), 5);
	assert_int_equal(vmc_recv(to, room, sizeof(room), WORLD_TIMEOUT_MS), 5);
	assert_memory_equal(room, "hello", 5);
}

static void call(struct vmc_endpoint *from, struct vmc_endpoint *to,
		 const char *local, const char *remote)
{
	struct vmc_connection *ends[2];
	struct vmc_listener *listener;

	assert_int_equal(world_listen(to, local, 7, &listener), 0);
	world_join(from, listener, remote, 7, ends);
	assert_int_equal(vmc_kind(ends[0]), VMC_KIND_CIRCUIT);
	expect_bytes(ends[0], ends[1]);
	expect_bytes(ends[1], ends[0]);
	vmc_unlisten(listener);
	assert_int_equal(vmc_detach(ends[0]), 0);
	assert_int_equal(vmc_detach(ends[1]), 0);
}

static void a_listener_is_reached_by_its_names(void **state)
{
	struct vmc_endpoint *a, *b, *other;

	(void)state;
	a = world_open("a");
	b = world_open("b");
	other = world_open("b");
	call(a, b, WORLD_B, WORLD_B);
	call(a, b, "0.0.0.0", WORLD_B);
	call(a, b, WORLD_B6, WORLD_B6);
	call(a, b, "::", WORLD_B6);
	call(a, b, "::", WORLD_B);
	call(b, a, WORLD_A, WORLD_A);
	/* Processes of one endpoint, by the address that they share. */
	call(b, other, WORLD_B, WORLD_B);
	call(other, b, WORLD_B6, WORLD_B6);
	assert_int_equal(vmc_endpoint_close(other), 0);
	assert_int_equal(vmc_endpoint_close(b), 0);
	assert_int_equal(vmc_endpoint_close(a), 0);
}

static void call_oneself(struct vmc_endpoint *endpoint, const char *local,
			 const char *remote)
{
	struct vmc_connection *ends[2];
	struct vmc_listener *listener;

	assert_int_equal(world_listen(endpoint, local, 7, &listener), 0);
	assert_int_equal(world_dial(endpoint, remote, 7, 1000, &ends[0]), 0);
	assert_int_equal(vmc_accept(listener, 0, NULL, &ends[1]), 0);
	expect_bytes(ends[0], ends[1]);
	expect_bytes(ends[1], ends[0]);
	vmc_unlisten(listener);
	assert_int_equal(vmc_detach(ends[0]), 0);
	assert_int_equal(vmc_detach(ends[1]), 0);
}

static void a_process_calls_itself(void **state)
{
	struct vmc_endpoint *a = world_open("a");

	(void)state;
	call_oneself(a, "127.0.0.1", "127.0.0.1");
	call_oneself(a, "::1", "::1");
	call_oneself(a, "0.0.0.0", "127.8.0.1");
	call_oneself(a, WORLD_A, WORLD_A);
	assert_int_equal(vmc_endpoint_close(a), 0);
}

static void the_callee_learns_who_calls(void **state)
{
	const struct sockaddr_in *in;
	struct vmc_connection *ends[2];
	struct sockaddr_storage remote, dialler;
	struct vmc_endpoint *a = world_open("a");
	struct vmc_listener *listener;

	(void)state;
	assert_int_equal(world_listen(a, WORLD_A, 7, &listener), 0);
	assert_int_equal(world_dial(a, WORLD_A, 7, 1000, &ends[0]), 0);
	assert_int_equal(vmc_accept(listener, 0, &remote, &ends[1]), 0);
	in = (const struct sockaddr_in *)&remote;
	world_name(WORLD_A, ntohs(in->sin_port), &dialler);
	assert_memory_equal(&remote, &dialler, sizeof(*in));
	assert_in_range(ntohs(in->sin_port), 32768, 60999);
	vmc_unlisten(listener);
	assert_int_equal(vmc_detach(ends[0]), 0);
	assert_int_equal(vmc_detach(ends[1]), 0);
	assert_int_equal(vmc_endpoint_close(a), 0);
}

static void who_is_not_there_is_told_apart(void **state)
{
	const struct sockaddr other = { .sa_family = AF_UNIX };
	struct vmc_connection *connection;
	struct vmc_endpoint *a, *b, *c;

	(void)state;
	a = world_open("a");
	c = world_open("c");
	/* b is configured, and nobody is there. */
	assert_int_equal(world_dial(a, WORLD_B, 7, 1000, &connection),
			 -EHOSTUNREACH);
	assert_int_equal(world_dial(a, "192.0.2.1", 7, 1000, &connection),
			 -EHOSTUNREACH);
	b = world_open("b");
	assert_int_equal(world_dial(a, WORLD_B, 7, 1000, &connection),
			 -ECONNREFUSED);
	assert_int_equal(world_dial(a, WORLD_B6, 7, 1000, &connection),
			 -ECONNREFUSED);
	assert_int_equal(world_dial(a, "127.0.0.1", 7, 1000, &connection),
			 -ECONNREFUSED);
	assert_int_equal(world_dial(a, WORLD_B, 0, 1000, &connection),
			 -ECONNREFUSED);
	/* c has no IPv6. */
	assert_int_equal(world_dial(c, WORLD_B6, 7, 1000, &connection),
			 -EADDRNOTAVAIL);
	assert_int_equal(vmc_dial(a, &other, sizeof(other), 0, &connection),
			 -EAFNOSUPPORT);
	assert_int_equal(vmc_dial(a, &other, 1, 0, &connection), -EINVAL);
	assert_int_equal(vmc_endpoint_close(b), 0);
	assert_int_equal(vmc_endpoint_close(c), 0);
	assert_int_equal(vmc_endpoint_close(a), 0);
}

static void an_isolated_network_is_unreachable(void **state)
{
	struct vmc_listener *of_a, *of_c;
	struct vmc_connection *connection;
	struct vmc_endpoint *a, *c;

	(void)state;
	a = world_open("a");
	c = world_open("c");
	assert_int_equal(world_listen(a, "0.0.0.0", 7, &of_a), 0);
	assert_int_equal(world_listen(c, "0.0.0.0", 7, &of_c), 0);
	assert_int_equal(world_dial(a, WORLD_C, 7, 1000, &connection),
			 -EHOSTUNREACH);
	assert_int_equal(world_dial(c, WORLD_A, 7, 1000, &connection),
			 -EHOSTUNREACH);
	vmc_unlisten(of_a);
	vmc_unlisten(of_c);
	assert_int_equal(vmc_endpoint_close(c), 0);
	assert_int_equal(vmc_endpoint_close(a), 0);
}

static void a_name_is_listened_at_once(void **state)
{
	struct vmc_listener *listener, *another;
	struct vmc_endpoint *first, *second;

	(void)state;
	first = world_open("a");
	second = world_open("a");
	assert_int_equal(world_listen(first, WORLD_A, 7, &listener), 0);
	assert_int_equal(world_listen(second, WORLD_A, 7, &another),
			 -EADDRINUSE);
	assert_int_equal(world_listen(second, "0.0.0.0", 7, &another),
			 -EADDRINUSE);
	assert_int_equal(world_listen(second, WORLD_A, 8, &another), 0);
	vmc_unlisten(another);
	assert_int_equal(world_listen(second, WORLD_B, 7, &another),
			 -EADDRNOTAVAIL);
	assert_int_equal(world_listen(second, WORLD_A, 0, &another), -EINVAL);
	vmc_unlisten(listener);
	/* The first one's UNLISTEN went before. */
	assert_int_equal(world_listen(first, WORLD_A, 9, &listener), 0);
	assert_int_equal(world_listen(second, WORLD_A, 7, &another), 0);
	vmc_unlisten(another);
	vmc_unlisten(listener);
	assert_int_equal(vmc_endpoint_close(second), 0);
	assert_int_equal(vmc_endpoint_close(first), 0);
}

static void nobody_waits_longer_than_asked(void **state)
{
	struct vmc_endpoint *a, *b;
	struct vmc_listener *listener;
	struct vmc_connection *connection, *ends[2];
	uint64_t begin_ms;
	const void *span;
	int error;

	(void)state;
	a = world_open("a");
	b = world_open("b");
	assert_int_equal(world_listen(b, WORLD_B, 7, &listener), 0);
	assert_int_equal(vmc_accept(listener, 0, NULL, &connection), -EAGAIN);
	/* The answer may be there at once. */
	error = world_dial(a, WORLD_B, 7, 0, &connection);
	if (error)
		assert_int_equal(error, -ETIMEDOUT);
	else
		vmc_detach(connection);
	/* If not it came too late, and before this one. */
	assert_int_equal(world_dial(a, WORLD_B, 8, 1000, &connection),
			 -ECONNREFUSED);
	assert_int_equal(vmc_accept(listener, 1000, NULL, &connection), 0);
	assert_int_equal(vmc_wait(connection, VMC_WAIT_DATA, 1000),
			 VMC_WAIT_DATA);
	assert_int_equal(vmc_peek(connection, 1, &span),
			 error ? -ECONNRESET : 0);
	assert_int_equal(vmc_detach(connection), 0);
	begin_ms = world_now_ms();
	assert_int_equal(vmc_accept(listener, 50, NULL, &connection), -EAGAIN);
	assert_in_range(world_now_ms() - begin_ms, 50, 1000);
	/* The next one is the next one. */
	world_join(a, listener, WORLD_B, 7, ends);
	expect_bytes(ends[0], ends[1]);
	vmc_unlisten(listener);
	world_unpair((struct vmc_endpoint *[2]){ a, b }, ends);
}

static void an_offer_ends_with_its_listener(void **state)
{
	struct vmc_listener *listener;
	struct vmc_connection *connection;
	struct vmc_endpoint *a;

	(void)state;
	a = world_open("a");
	assert_int_equal(world_listen(a, WORLD_A, 7, &listener), 0);
	assert_int_equal(world_dial(a, WORLD_A, 7, 1000, &connection), 0);
	vmc_unlisten(listener);
	assert_int_equal(vmc_wait(connection, VMC_WAIT_DATA, 1000),
			 VMC_WAIT_DATA);
	assert_int_equal(vmc_recv(connection, &(char){ 0 }, 1, 0), -ECONNRESET);
	assert_int_equal(vmc_detach(connection), 0);
	assert_int_equal(vmc_endpoint_close(a), 0);
}

static void an_endpoint_in_use_does_not_close(void **state)
{
	struct vmc_endpoint *endpoints[2];
	struct vmc_connection *ends[2];
	struct vmc_listener *listener;

	(void)state;
	world_pair(endpoints, ends);
	assert_int_equal(vmc_endpoint_close(endpoints[0]), -EBUSY);
	assert_int_equal(vmc_detach(ends[0]), 0);
	assert_int_equal(world_listen(endpoints[0], WORLD_A, 7, &listener), 0);
	assert_int_equal(vmc_endpoint_close(endpoints[0]), -EBUSY);
	vmc_unlisten(listener);
	ends[0] = NULL;
	world_unpair(endpoints, ends);
}

static void *dial_many(void *argument)
{
	struct vmc_endpoint *endpoint = argument;
	struct vmc_connection *connection;
	char byte = 'x';
	int i, error = 0;

	for (i = 0; i < NR_DIALS && !error; i++) {
		error = world_dial(endpoint, WORLD_B, 7, WORLD_TIMEOUT_MS,
				   &connection);
		if (error)
			break;
		if (vmc_send(connection, &byte, 1, 0) != 1 ||
		    vmc_recv(connection, &byte, 1, WORLD_TIMEOUT_MS) != 1)
			error = -EPROTO;
		vmc_detach(connection);
	}
	return (void *)(intptr_t)error;
}

static void many_dials_leave_nothing_behind(void **state)
{
	struct vmc_endpoint *endpoints[2];
	struct vmc_connection *ends[2], *connection;
	struct vmc_listener *listener;
	unsigned int i, fds, switch_fds;
	pthread_t thread;
	void *answer;
	char byte;

	(void)state;
	/* The link stays. */
	world_pair(endpoints, ends);
	assert_int_equal(world_listen(endpoints[1], WORLD_B, 7, &listener), 0);
	/* When it answered that, the switch has closed what it gave away. */
	switch_fds = world_count_fds(world_switch());
	fds = world_count_fds(getpid());
	pthread_create(&thread, NULL, dial_many, endpoints[0]);
	for (i = 0; i < NR_DIALS; i++) {
		assert_int_equal(vmc_accept(listener, WORLD_TIMEOUT_MS, NULL,
					    &connection), 0);
		assert_int_equal(vmc_recv(connection, &byte, 1,
					  WORLD_TIMEOUT_MS), 1);
		assert_int_equal(vmc_send(connection, &byte, 1, 0), 1);
		assert_int_equal(vmc_detach(connection), 0);
	}
	pthread_join(thread, &answer);
	assert_null(answer);
	vmc_unlisten(listener);
	world_await_fds(getpid(), fds);
	world_await_fds(world_switch(), switch_fds);
	world_unpair(endpoints, ends);
}

static void who_left_leaves_nothing_behind(void **state)
{
	unsigned int fds = world_count_fds(getpid()), switch_fds, i;
	struct vmc_endpoint *endpoints[2], *stays;
	struct vmc_connection *ends[2];

	(void)state;
	/* When it is answered, the switch has all that it has for itself. */
	stays = world_open("c");
	switch_fds = world_count_fds(world_switch());
	for (i = 0; i < 100; i++) {
		world_pair(endpoints, ends);
		world_unpair(endpoints, ends);
	}
	world_await_fds(world_switch(), switch_fds);
	assert_int_equal(vmc_endpoint_close(stays), 0);
	world_await_fds(getpid(), fds);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name, start) \
	cmocka_unit_test_setup_teardown(name, start, world_stop)
		TEST(an_endpoint_opens_and_closes, world_start),
		TEST(who_is_not_named_is_turned_away, world_start),
		TEST(a_named_user_comes, start_with_user),
		TEST(a_member_of_a_named_group_comes, start_with_group),
		TEST(no_more_than_max_processes_come, start_with_two_seats),
		TEST(a_listener_is_reached_by_its_names, world_start),
		TEST(a_process_calls_itself, world_start),
		TEST(the_callee_learns_who_calls, world_start),
		TEST(who_is_not_there_is_told_apart, world_start),
		TEST(an_isolated_network_is_unreachable, world_start),
		TEST(a_name_is_listened_at_once, world_start),
		TEST(nobody_waits_longer_than_asked, world_start),
		TEST(an_offer_ends_with_its_listener, world_start),
		TEST(an_endpoint_in_use_does_not_close, world_start),
		TEST(many_dials_leave_nothing_behind, world_start),
		TEST(who_left_leaves_nothing_behind, world_start),
	};

	if (argc != 2)
		return 2;
	world_init(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
