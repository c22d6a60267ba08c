// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Touches data where it lies: a producer numbers each cache line of what it
 * sends, a consumer checks each number. In place in the rings (the default), or
 * as a program that knows only send() and recv() (-c); and in its own memory,
 * which is as fast as any network could be.
 *
 *   touch listen [-c] PORT              consume from one client
 *   touch send [-c] HOST PORT SECONDS   produce
 *   touch memory SECONDS                produce, then consume, in own memory
 *
 * Prints one line of JSON.
 */
#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "examples/dial.h"
#include "lib/vmcircuit.h"

#define LINE_BYTES	64U
#define LINE_WORDS	(LINE_BYTES / sizeof(uint64_t))
/* What is touched at once: as a program that works in pieces does. */
#define BLOCK_BYTES	(256U << 10)
#define RING_BYTES	(1U << 20)
/* A peer that is at work is back sooner than a wake-up takes. */
#define SPIN_US		1000

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void report(const char *what, const char *how, double bytes,
		   double seconds)
{
	printf("{\"what\": \"%s\", \"how\": \"%s\", \"bytes\": %.0f, \"seconds\": %.3f, \"bytes_per_second\": %.0f}\n",
	       what, how, bytes, seconds, bytes / seconds);
}

/* Whole lines only; the return value is the next number. */
static uint64_t produce(void *span, size_t bytes, uint64_t number)
{
	volatile uint64_t *word = span;

	for (; bytes; bytes -= LINE_BYTES, word += LINE_WORDS)
		*word = number++;
	return number;
}

static uint64_t consume(const void *span, size_t bytes, uint64_t number)
{
	const volatile uint64_t *word = span;

	for (; bytes; bytes -= LINE_BYTES, word += LINE_WORDS)
		if (*word != number++)
			errx(1, "line %llu holds another number",
			     (unsigned long long)number - 1);
	return number;
}

static size_t whole_lines(ssize_t bytes)
{
	return (size_t)bytes / LINE_BYTES * LINE_BYTES;
}

static struct vmc_connection *attach_circuit(int fd)
{
	struct vmc_connection *connection = attach(fd);

	if (vmc_kind(connection) != VMC_KIND_CIRCUIT)
		errx(1, "this connection is no circuit");
	vmc_set_spin(connection, SPIN_US);
	return connection;
}

static double send_in_place(int fd, double until_s)
{
	struct vmc_connection *connection = attach_circuit(fd);
	uint64_t number = 0;
	ssize_t room;
	size_t bytes;
	void *span;

	while (now_s() < until_s) {
		room = vmc_reserve(connection, BLOCK_BYTES, &span);
		bytes = room > 0 ? whole_lines(room) : 0;
		if (!bytes && (room > 0 || room == -EAGAIN)) {
			if (vmc_wait(connection, VMC_WAIT_SPACE, -1) < 0)
				break;
			continue;
		}
		if (room < 0)
			errx(1, "reserve: %s", strerror((int)-room));
		number = produce(span, bytes, number);
		vmc_commit(connection, bytes);
	}
	vmc_shutdown(connection);
	vmc_detach(connection);
	return (double)number * LINE_BYTES;
}

static double receive_in_place(int fd, double *ret_begin_s)
{
	struct vmc_connection *connection = attach_circuit(fd);
	uint64_t number = 0;
	const void *span;
	ssize_t got;

	for (;;) {
		got = vmc_peek(connection, BLOCK_BYTES, &span);
		if (got == -EAGAIN) {
			vmc_wait(connection, VMC_WAIT_DATA, -1);
			continue;
		}
		if (got <= 0)
			break;
		if (!number)
			*ret_begin_s = now_s();
		number = consume(span, whole_lines(got), number);
		vmc_release(connection, whole_lines(got));
	}
	if (got < 0)
		errx(1, "peek: %s", strerror((int)-got));
	vmc_detach(connection);
	return (double)number * LINE_BYTES;
}

static double send_copied(int fd, double until_s)
{
	uint8_t *block = aligned_alloc(LINE_BYTES, BLOCK_BYTES);
	uint64_t number = 0;
	size_t done;
	ssize_t n;

	if (!block)
		err(1, "memory");
	while (now_s() < until_s) {
		number = produce(block, BLOCK_BYTES, number);
		for (done = 0; done < BLOCK_BYTES; done += (size_t)n) {
			n = send(fd, block + done, BLOCK_BYTES - done,
				 MSG_NOSIGNAL);
			if (n < 0)
				err(1, "send");
		}
	}
	shutdown(fd, SHUT_WR);
	free(block);
	return (double)number * LINE_BYTES;
}

static double receive_copied(int fd, double *ret_begin_s)
{
	uint8_t *block = aligned_alloc(LINE_BYTES, BLOCK_BYTES);
	uint64_t number = 0;
	size_t fill = 0, bytes;
	ssize_t n;

	if (!block)
		err(1, "memory");
	while ((n = recv(fd, block + fill, BLOCK_BYTES - fill, 0)) > 0) {
		if (!number && !fill)
			*ret_begin_s = now_s();
		fill += (size_t)n;
		bytes = whole_lines((ssize_t)fill);
		number = consume(block, bytes, number);
		fill -= bytes;
		memmove(block, block + bytes, fill);
	}
	if (n < 0)
		err(1, "recv");
	free(block);
	return (double)number * LINE_BYTES;
}

/* As much as both sides of a ring do, one after the other. */
static void touch_memory(double seconds)
{
	uint8_t *ring = aligned_alloc(LINE_BYTES, RING_BYTES);
	double produce_s = 0, consume_s = 0, bytes = 0, t0, t1, t2;
	uint64_t number = 0;
	size_t at;

	if (!ring)
		err(1, "memory");
	memset(ring, 0, RING_BYTES);
	while (produce_s + consume_s < seconds) {
		t0 = now_s();
		for (at = 0; at < RING_BYTES; at += BLOCK_BYTES)
			produce(ring + at, BLOCK_BYTES,
				number + at / LINE_BYTES);
		t1 = now_s();
		for (at = 0; at < RING_BYTES; at += BLOCK_BYTES)
			number = consume(ring + at, BLOCK_BYTES, number);
		t2 = now_s();
		produce_s += t1 - t0;
		consume_s += t2 - t1;
		bytes += RING_BYTES;
	}
	report("memory", "produce", bytes, produce_s);
	report("memory", "consume", bytes, consume_s);
	report("memory", "both", bytes, produce_s + consume_s);
	free(ring);
}

static void listen_once(const char *port, bool is_copy)
{
	int listener = listen_at(NULL, port), fd;
	double begin_s = now_s(), bytes;

	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		err(1, "accept");
	bytes = is_copy ? receive_copied(fd, &begin_s) :
			  receive_in_place(fd, &begin_s);
	report("receive", is_copy ? "copied" : "in place", bytes,
	       now_s() - begin_s);
	close(fd);
	close(listener);
}

static void send_for(const char *host, const char *port, double seconds,
		     bool is_copy)
{
	int fd = dial(host, port);
	double begin_s = now_s(), bytes;
	char end;

	bytes = is_copy ? send_copied(fd, begin_s + seconds) :
			  send_in_place(fd, begin_s + seconds);
	/* The consumer closes when it has touched everything. */
	if (recv(fd, &end, sizeof(end), 0))
		errx(1, "the consumer failed");
	report("send", is_copy ? "copied" : "in place", bytes,
	       now_s() - begin_s);
	close(fd);
}

int main(int argc, char **argv)
{
	bool is_copy = argc > 2 && !strcmp(argv[2], "-c");
	char **words = argv + 2 + is_copy;
	int nr = argc - 2 - is_copy;

	if (nr == 1 && !strcmp(argv[1], "listen"))
		listen_once(words[0], is_copy);
	else if (nr == 3 && !strcmp(argv[1], "send"))
		send_for(words[0], words[1], atof(words[2]), is_copy);
	else if (nr == 1 && !strcmp(argv[1], "memory"))
		touch_memory(atof(words[0]));
	else
		errx(2, "usage: touch listen [-c] PORT | send [-c] HOST PORT SECONDS | memory SECONDS");
	return 0;
}
