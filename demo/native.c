// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two processes of one host, measured: circuits between endpoints, and what
 * they compare with.
 *
 *   native memcpy SECONDS BYTES             copy in one process
 *   native in-place SECONDS BYTES           copy into the ring, look there
 *   native circuit|unix|tcp SECONDS BYTES   send and receive, with copies
 *   native circuit-trip|eventfd-trip ONE|TWO COUNT   64 bytes there and back,
 *                                           sleeping, on one core or on two
 *   native spin-trip TWO COUNT              the same, never sleeping
 *   native word-trip TWO COUNT              one word there and back, which is
 *                                           what the processor itself takes
 *
 * Circuits: SOCKET_A and SOCKET_B in the environment are the two endpoints'
 * sockets, ADDRESS_B is the second's address. Prints one line of JSON.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/vmcircuit.h"

#define PORT		7000
#define RING_BYTES	(1U << 20)
#define TRIP_BYTES	64
#define DIAL_TIMEOUT_MS	5000
#define SPIN_US		1000
#define WORD_GAP	4096	/* bytes */

/* One end of what is measured; which members count depends on the subject. */
struct peer {
	struct vmc_connection *circuit;
	int fd;
	int out_fd;		/* eventfds */
	int in_fd;
	uint64_t *out_word;	/* a cache line each; NULL: not by these */
	uint64_t *in_word;
	uint64_t number;
};

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void check(int error, const char *what)
{
	if (error < 0)
		errx(1, "%s: %s", what, strerror(-error));
}

static void run_on(int core)
{
	cpu_set_t cores;

	CPU_ZERO(&cores);
	CPU_SET(core, &cores);
	if (sched_setaffinity(0, sizeof(cores), &cores))
		err(1, "core %d", core);
}

static struct sockaddr_in name_b(void)
{
	struct sockaddr_in name = {
		.sin_family = AF_INET,
		.sin_port = htons(PORT),
	};

	if (!getenv("ADDRESS_B") ||
	    inet_pton(AF_INET, getenv("ADDRESS_B"), &name.sin_addr) != 1)
		errx(2, "ADDRESS_B is not set");
	return name;
}

static struct vmc_endpoint *be(const char *variable)
{
	struct vmc_endpoint *endpoint;

	if (!getenv(variable))
		errx(2, "%s is not set", variable);
	check(vmc_endpoint_open(getenv(variable), &endpoint), variable);
	return endpoint;
}

/* The child listens before it says so through @ready. */
static void accept_circuit(struct peer *peer, int ready)
{
	struct vmc_endpoint *endpoint = be("SOCKET_B");
	struct sockaddr_in name = name_b();
	struct vmc_listener *listener;

	check(vmc_listen(endpoint, (struct sockaddr *)&name, sizeof(name),
			 &listener), "listen");
	if (write(ready, "", 1) != 1)
		err(1, "ready");
	check(vmc_accept(listener, -1, NULL, &peer->circuit), "accept");
}

static void dial_circuit(struct peer *peer, int ready)
{
	struct vmc_endpoint *endpoint = be("SOCKET_A");
	struct sockaddr_in name = name_b();
	char byte;

	if (read(ready, &byte, 1) != 1)
		errx(1, "the peer is gone");
	check(vmc_dial(endpoint, (struct sockaddr *)&name, sizeof(name),
		       DIAL_TIMEOUT_MS, &peer->circuit), "dial");
}

static void join_tcp(int fds[2])
{
	struct sockaddr_in name = {
		.sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	socklen_t bytes = sizeof(name);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&name, bytes) ||
	    listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&name, &bytes) ||
	    connect(fds[0], (struct sockaddr *)&name, bytes))
		err(1, "tcp");
	fds[1] = accept(listener, NULL, NULL);
	if (fds[1] < 0)
		err(1, "accept");
}

static ssize_t put(const struct peer *peer, const void *data, size_t bytes)
{
	if (peer->circuit)
		return vmc_send(peer->circuit, data, bytes, -1);
	return send(peer->fd, data, bytes, MSG_NOSIGNAL);
}

static ssize_t get(const struct peer *peer, void *room, size_t bytes)
{
	if (peer->circuit)
		return vmc_recv(peer->circuit, room, bytes, -1);
	return recv(peer->fd, room, bytes, 0);
}

static void *room_for(size_t bytes)
{
	void *room = malloc(bytes);

	if (!room)
		err(1, "memory");
	memset(room, 1, bytes);
	return room;
}

/* Until the peer ends; then its answer is one byte. */
static void consume(const struct peer *peer, size_t bytes, bool is_in_place)
{
	char *room = room_for(bytes);
	const char *span;
	ssize_t n;

	do {
		n = is_in_place ?
		    vmc_peek(peer->circuit, bytes, (const void **)&span) :
		    get(peer, room, bytes);
		if (!is_in_place)
			continue;
		if (n > 0)
			*room += *(volatile const char *)span;
		n = n == -EAGAIN ?
		    vmc_wait(peer->circuit, VMC_WAIT_DATA, -1) :
		    n > 0 ? !vmc_release(peer->circuit, (size_t)n) : n;
	} while (n > 0);
	if (put(peer, "", 1) != 1)
		errx(1, "the sender is gone");
	free(room);
}

static void produce_in_place(const struct peer *peer, const void *data,
			     size_t bytes)
{
	ssize_t room;
	void *span;

	while ((room = vmc_reserve(peer->circuit, bytes, &span)) == -EAGAIN)
		vmc_wait(peer->circuit, VMC_WAIT_SPACE, -1);
	if (room != (ssize_t)bytes)
		errx(1, "reserve: %zd", room);
	memcpy(span, data, bytes);
	check(vmc_commit(peer->circuit, bytes), "commit");
}

static void report(const char *what, double bytes, double seconds)
{
	printf("{\"what\": \"%s\", \"bytes_per_second\": %.0f}\n", what,
	       bytes / seconds);
}

/* From a buffer of a ring's size, as the in-place sender does. */
static void copy_here(double seconds, size_t bytes)
{
	char *from = room_for(RING_BYTES), *to = room_for(RING_BYTES);
	double begin_s = now_s(), copied = 0;
	size_t at = 0;

	while (now_s() < begin_s + seconds) {
		memcpy(to + at, from + at, bytes);
		/* Or the compiler leaves it out. */
		__asm__ volatile("" : : "r"(to) : "memory");
		at = (at + bytes) % RING_BYTES;
		copied += (double)bytes;
	}
	report("memcpy", copied, now_s() - begin_s);
}

static void produce(const char *what, const struct peer *peer, double seconds,
		    size_t bytes, bool is_in_place)
{
	double begin_s = now_s(), sent = 0;
	char *from = room_for(RING_BYTES), end;
	size_t at = 0;

	while (now_s() < begin_s + seconds) {
		if (is_in_place)
			produce_in_place(peer, from + at, bytes);
		else if (put(peer, from + at, bytes) != (ssize_t)bytes)
			errx(1, "the receiver is gone");
		at = (at + bytes) % RING_BYTES;
		sent += (double)bytes;
	}
	if (peer->circuit)
		check(vmc_shutdown(peer->circuit), "shutdown");
	else
		shutdown(peer->fd, SHUT_WR);
	if (get(peer, &end, 1) != 1)
		errx(1, "no answer");
	report(what, sent, now_s() - begin_s);
}

static void trip_out(const struct peer *peer, const char *data)
{
	const uint64_t one = 1;

	if (peer->out_word)
		__atomic_store_n(peer->out_word, peer->number + 1,
				 __ATOMIC_RELEASE);
	else if (peer->circuit)
		produce_in_place(peer, data, TRIP_BYTES);
	else if (write(peer->out_fd, &one, sizeof(one)) < 0)
		err(1, "the peer is gone");
}

static bool trip_in(struct peer *peer, char *data)
{
	const void *span;
	uint64_t count;
	ssize_t n;

	if (peer->in_word) {
		while (__atomic_load_n(peer->in_word, __ATOMIC_ACQUIRE) ==
		       peer->number)
			;
		peer->number++;
		return true;
	}
	if (!peer->circuit)
		return read(peer->in_fd, &count, sizeof(count)) > 0;
	while ((n = vmc_peek(peer->circuit, TRIP_BYTES, &span)) == -EAGAIN)
		vmc_wait(peer->circuit, VMC_WAIT_DATA, -1);
	if (n != TRIP_BYTES)
		return false;
	memcpy(data, span, TRIP_BYTES);
	return !vmc_release(peer->circuit, TRIP_BYTES);
}

static void echo_trips(struct peer *peer, unsigned long count)
{
	char data[TRIP_BYTES];

	while (count-- && trip_in(peer, data)) {
		/* The answer has the number that came. */
		peer->number--;
		trip_out(peer, data);
		peer->number++;
	}
}

static void time_trips(const char *what, struct peer *peer,
		       unsigned long count)
{
	char data[TRIP_BYTES] = { 1 };
	double begin_s = now_s();
	unsigned long i;

	for (i = 0; i < count; i++) {
		trip_out(peer, data);
		if (!trip_in(peer, data))
			errx(1, "the peer is gone");
	}
	printf("{\"what\": \"%s\", \"us\": %.4f}\n", what,
	       (now_s() - begin_s) * 1e6 / (double)count);
}

/* What both sides inherit; a circuit is made afterwards. */
static void join(const char *what, struct peer *here, struct peer *there)
{
	int fds[2] = { -1, -1 };
	uint64_t *words;

	if (!strcmp(what, "word-trip")) {
		words = mmap(NULL, 2 * WORD_GAP, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (words == MAP_FAILED)
			err(1, "mmap");
		here->out_word = there->in_word = words;
		here->in_word = there->out_word =
			words + WORD_GAP / sizeof(*words);
	}
	if (!strcmp(what, "unix") &&
	    socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		err(1, "socketpair");
	if (!strcmp(what, "tcp"))
		join_tcp(fds);
	here->fd = fds[0];
	there->fd = fds[1];
	here->out_fd = there->in_fd = eventfd(0, 0);
	here->in_fd = there->out_fd = eventfd(0, 0);
}

int main(int argc, char **argv)
{
	bool is_trip, is_spin, is_in_place, is_circuit;
	struct peer here = { 0 }, there = { 0 };
	size_t amount;
	int ready[2], status;

	if (argc != 4)
		errx(2, "usage: native WHAT SECONDS|CORES BYTES|COUNT");
	amount = strtoul(argv[3], NULL, 10);
	if (!strcmp(argv[1], "memcpy")) {
		copy_here(atof(argv[2]), amount);
		return 0;
	}
	is_trip = strstr(argv[1], "trip");
	is_spin = !strcmp(argv[1], "spin-trip");
	is_in_place = !strcmp(argv[1], "in-place");
	is_circuit = is_spin || is_in_place || strstr(argv[1], "circuit");
	join(argv[1], &here, &there);
	if (pipe(ready))
		err(1, "pipe");
	run_on(0);
	if (!fork()) {
		if (!is_trip || strcmp(argv[2], "ONE"))
			run_on(1);
		if (is_circuit)
			accept_circuit(&there, ready[1]);
		if (is_spin || is_in_place)
			vmc_set_spin(there.circuit, SPIN_US);
		if (is_trip)
			echo_trips(&there, amount);
		else
			consume(&there, amount, is_in_place);
		/* The last answer is to be read before this end is gone. */
		if (is_circuit)
			vmc_wait(there.circuit, VMC_WAIT_DATA, 1000);
		return 0;
	}
	if (is_circuit)
		dial_circuit(&here, ready[0]);
	if (is_spin || is_in_place)
		vmc_set_spin(here.circuit, SPIN_US);
	if (is_trip)
		time_trips(argv[1], &here, amount);
	else
		produce(argv[1], &here, atof(argv[2]), amount, is_in_place);
	if (is_circuit)
		vmc_detach(here.circuit);
	wait(&status);
	return 0;
}
