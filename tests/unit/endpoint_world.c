// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A switch with endpoints for a test, and processes that join them. Owns the
 * switch, its directory and its log, which may complain of nothing that the
 * test does not expect. Called by the endpoint tests.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/endpoint_world.h"

static struct {
	const char *switch_path;
	char directory[64];
	pid_t pid;		/* 0: the switch was killed */
	int log;
	const char *expected;	/* in each complaint of the log */
} world;

/**
 * world_init - remember which switch is tested
 * @switch_path: the program
 */
void world_init(const char *switch_path)
{
	world.switch_path = switch_path;
	signal(SIGPIPE, SIG_IGN);
}

/**
 * world_path - where something of the switch is
 * @name: of an endpoint's socket, "conf", "control", "log" or a test's file
 *
 * Return: the path; the four last ones stay valid.
 */
const char *world_path(const char *name)
{
	static char paths[4][96];
	static unsigned int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", world.directory, name);
	return path;
}

static void write_config(const char *sections)
{
	FILE *file = fopen(world_path("conf"), "w");

	assert_non_null(file);
	fprintf(file, "control = \"%s\"\nsandbox = %s\n", world_path("control"),
		getenv("NO_SANDBOX") ? "false" : "true");
	/* "@" stands for the directory. */
	for (; *sections; sections++) {
		if (*sections == '@')
			fputs(world.directory, file);
		else
			fputc(*sections, file);
	}
	assert_int_equal(fclose(file), 0);
}

/* The switch tells when it serves, as it tells systemd. */
static int open_notices(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(name.sun_path, world_path("notices"));
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(chmod(name.sun_path, 0666), 0);
	return fd;
}

static void await_ready(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	char text[256] = "";

	assert_int_equal(poll(&poll_fd, 1, WORLD_TIMEOUT_MS), 1);
	assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
	assert_non_null(strstr(text, "READY=1"));
}

/**
 * world_start_with - start a switch
 * @sections: its configuration but for control and sandbox; "@" is the
 *	directory
 */
void world_start_with(const char *sections)
{
	int notices;

	strcpy(world.directory, "/tmp/vmcircuit-endpoint-XXXXXX");
	assert_non_null(mkdtemp(world.directory));
	assert_int_equal(chmod(world.directory, 0755), 0);
	write_config(sections);
	world.expected = NULL;
	world.log = open(world_path("log"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(world.log >= 0);
	notices = open_notices();
	world.pid = fork();
	if (!world.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(world.log, 2);
		setenv("NOTIFY_SOCKET", world_path("notices"), 1);
		execl(world.switch_path, world.switch_path, "-c",
		      world_path("conf"), NULL);
		_exit(127);
	}
	await_ready(notices);
	close(notices);
}

/**
 * world_start - cmocka's setup: the endpoints of most tests
 */
int world_start(void **state)
{
	(void)state;
	world_start_with(
		"network \"cell\" { isolated = true }\n"
		"endpoint \"a\" { socket = \"@/a\" addresses = { \""
		WORLD_A "/24\", \"" WORLD_A6 "/64\" } }\n"
		"endpoint \"b\" { socket = \"@/b\" addresses = { \""
		WORLD_B "/24\", \"" WORLD_B6 "/64\" } }\n"
		"endpoint \"c\" { socket = \"@/c\" addresses = { \""
		WORLD_C "/24\" } network = \"cell\" }\n");
	return 0;
}

/**
 * world_expect_log - the switch is going to complain
 * @words: in each complaint
 */
void world_expect_log(const char *words)
{
	world.expected = words;
}

/**
 * world_switch - the switch's process
 */
pid_t world_switch(void)
{
	return world.pid;
}

/**
 * world_kill_switch - end the switch
 * @signal: SIGKILL, or SIGTERM, which it has to take well
 */
void world_kill_switch(int signal)
{
	int status;

	assert_int_equal(kill(world.pid, signal), 0);
	assert_int_equal(waitpid(world.pid, &status, 0), world.pid);
	world.pid = 0;
	if (signal == SIGTERM && status)
		print_message("the switch ended with status %#x\n", status);
	if (signal == SIGTERM)
		assert_int_equal(status, 0);
}

static unsigned int read_log(void)
{
	FILE *file = fopen(world_path("log"), "r");
	unsigned int nr_wrong = 0;
	char line[1024];

	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "vmcircuitd: info", 16) ||
		    !strncmp(line, "vmcircuitd: debug", 17) ||
		    (world.expected && strstr(line, world.expected)))
			continue;
		print_message("the switch says: %s", line);
		nr_wrong++;
	}
	fclose(file);
	return nr_wrong;
}

/**
 * world_stop - cmocka's teardown: end the switch, and read its log
 */
int world_stop(void **state)
{
	static const char * const names[] = {
		"a", "b", "c", "conf", "control", "log", "notices", "data",
	};
	unsigned int i, nr_wrong;

	(void)state;
	if (world.pid)
		world_kill_switch(SIGTERM);
	nr_wrong = read_log();
	close(world.log);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(world_path(names[i]));
	if (rmdir(world.directory))
		print_message("%s is not empty\n", world.directory);
	return nr_wrong ? -1 : 0;
}

/**
 * world_now_ms - a clock
 */
uint64_t world_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/**
 * world_count_fds - how many descriptors a process has
 * @pid: the process
 */
unsigned int world_count_fds(pid_t pid)
{
	struct dirent *entry;
	unsigned int nr = 0;
	char path[32];
	DIR *list;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	list = opendir(path);
	assert_non_null(list);
	while ((entry = readdir(list)))
		nr += *entry->d_name != '.';
	closedir(list);
	/* The list's own. */
	return nr - (pid == getpid());
}

/**
 * world_await_fds - descriptors come back, if not at once
 * @pid: the process, which is told things by others
 * @nr: how many it is to have
 */
void world_await_fds(pid_t pid, unsigned int nr)
{
	const struct timespec moment = { .tv_nsec = 2000000 };
	uint64_t end_ms = world_now_ms() + WORLD_TIMEOUT_MS;

	while (world_count_fds(pid) != nr && world_now_ms() < end_ms)
		nanosleep(&moment, NULL);
	assert_int_equal(world_count_fds(pid), nr);
}

/**
 * world_open - become a process of an endpoint
 * @name: the endpoint's
 */
struct vmc_endpoint *world_open(const char *name)
{
	struct vmc_endpoint *endpoint = NULL;

	assert_int_equal(vmc_endpoint_open(world_path(name), &endpoint), 0);
	return endpoint;
}

/**
 * world_name - a socket address
 * @address: as people write it
 * @port: of it
 * @ret_name: the socket address
 *
 * Return: its length.
 */
socklen_t world_name(const char *address, uint16_t port,
		     struct sockaddr_storage *ret_name)
{
	struct sockaddr_in *in = (void *)ret_name;
	struct sockaddr_in6 *in6 = (void *)ret_name;

	memset(ret_name, 0, sizeof(*ret_name));
	if (inet_pton(AF_INET, address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	inet_pton(AF_INET6, address, &in6->sin6_addr);
	return sizeof(*in6);
}

/**
 * world_dial - vmc_dial() with an address as people write it
 */
int world_dial(struct vmc_endpoint *endpoint, const char *address,
	       uint16_t port, int timeout_ms,
	       struct vmc_connection **ret_connection)
{
	struct sockaddr_storage name;
	socklen_t bytes = world_name(address, port, &name);

	return vmc_dial(endpoint, (struct sockaddr *)&name, bytes, timeout_ms,
			ret_connection);
}

/**
 * world_listen - vmc_listen() with an address as people write it
 */
int world_listen(struct vmc_endpoint *endpoint, const char *address,
		 uint16_t port, struct vmc_listener **ret_listener)
{
	struct sockaddr_storage name;
	socklen_t bytes = world_name(address, port, &name);

	return vmc_listen(endpoint, (struct sockaddr *)&name, bytes,
			  ret_listener);
}

struct acceptor {
	struct vmc_listener *listener;
	struct vmc_connection *connection;
	int error;
};

static void *accept_one(void *argument)
{
	struct acceptor *acceptor = argument;

	acceptor->error = vmc_accept(acceptor->listener, WORLD_TIMEOUT_MS, NULL,
				     &acceptor->connection);
	return NULL;
}

/**
 * world_join - connect two endpoints of this process
 * @from: dials
 * @to: a listener of another
 * @address: where it listens
 * @port: of it
 * @ret_ends: the dialler's and the listener's
 */
void world_join(struct vmc_endpoint *from, struct vmc_listener *to,
		const char *address, uint16_t port,
		struct vmc_connection *ret_ends[2])
{
	struct acceptor acceptor = { .listener = to };
	pthread_t thread;
	int error;

	pthread_create(&thread, NULL, accept_one, &acceptor);
	error = world_dial(from, address, port, WORLD_TIMEOUT_MS, &ret_ends[0]);
	pthread_join(thread, NULL);
	assert_int_equal(error, 0);
	assert_int_equal(acceptor.error, 0);
	ret_ends[1] = acceptor.connection;
}

/**
 * world_pair - a connection from "a" to "b", both in this process
 * @ret_endpoints: a, b
 * @ret_ends: of each
 */
void world_pair(struct vmc_endpoint *ret_endpoints[2],
		struct vmc_connection *ret_ends[2])
{
	struct vmc_listener *listener;

	ret_endpoints[0] = world_open("a");
	ret_endpoints[1] = world_open("b");
	assert_int_equal(world_listen(ret_endpoints[1], WORLD_B, 80, &listener),
			 0);
	world_join(ret_endpoints[0], listener, WORLD_B, 80, ret_ends);
	vmc_unlisten(listener);
}

/**
 * world_unpair - undo world_pair()
 * @endpoints: from world_pair()
 * @ends: each may be NULL
 */
void world_unpair(struct vmc_endpoint *endpoints[2],
		  struct vmc_connection *ends[2])
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (ends[i])
			assert_int_equal(vmc_detach(ends[i]), 0);
		assert_int_equal(vmc_endpoint_close(endpoints[i]), 0);
	}
}

static struct vmc_endpoint *pair[2];
struct vmc_connection *world_ends[2];

/**
 * world_start_pair - a case's switch, and a connection between two processes
 */
int world_start_pair(void **state)
{
	world_start(state);
	world_pair(pair, world_ends);
	return 0;
}

/**
 * world_stop_pair - undo world_start_pair()
 */
int world_stop_pair(void **state)
{
	world_unpair(pair, world_ends);
	return world_stop(state);
}

/**
 * world_fork - live another life
 * @life: in a process of its own, with a socket to us; no cmocka in there
 */
struct world_child world_fork(void (*life)(int socket))
{
	struct world_child child;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				    fds), 0);
	child.socket = fds[0];
	child.pid = fork();
	if (!child.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		life(fds[1]);
		_exit(0);
	}
	close(fds[1]);
	return child;
}

/**
 * world_tell - say a word to the other process
 */
void world_tell(int socket, int word)
{
	ssize_t done = send(socket, &word, sizeof(word), MSG_NOSIGNAL);

	(void)done; /* Who should hear it is gone, which is noticed there. */
}

/**
 * world_hear - wait for a word of the other process
 *
 * Return: the word; ECHILD when it ended or says nothing.
 */
int world_hear(int socket)
{
	struct pollfd poll_fd = { .fd = socket, .events = POLLIN };
	int word;

	if (poll(&poll_fd, 1, WORLD_TIMEOUT_MS) != 1 ||
	    recv(socket, &word, sizeof(word), 0) != sizeof(word))
		return ECHILD;
	return word;
}

/**
 * world_end_child - see it end
 * @child: from world_fork()
 * @signal: SIGKILL; 0: it ends by itself, and well
 */
void world_end_child(struct world_child *child, int signal)
{
	int status;

	if (signal)
		kill(child->pid, signal);
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	assert_int_equal(status, signal);
	close(child->socket);
}
