// SPDX-License-Identifier: MIT
/*
 * vmc-serve - answer requests in place, or ask for answers and time them.
 *
 *   vmc-serve [-e SOCKET] [-s US] [-a ADDRESS] PORT     serve, one client at a time
 *   vmc-serve [-e SOCKET] [-s US] [-n COUNT] [-b BYTES] HOST PORT   ask COUNT times
 *
 * A request is a number of bytes; the answer is the same bytes. With -s both
 * look for up to US microseconds before they sleep, with -e they are endpoints
 * on the host of a switch.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "examples/dial.h"
#include "examples/reach.h"
#include "lib/vmcircuit.h"

static void usage(FILE *to)
{
	fputs("usage: vmc-serve [-e SOCKET] [-s US] [-a ADDRESS] PORT               serve\n"
	      "       vmc-serve [-e SOCKET] [-s US] [-n COUNT] [-b BYTES] HOST PORT  ask\n"
	      "  -e SOCKET   as the endpoint of a switch on this host\n"
	      "  -a ADDRESS  listen there only\n"
	      "  -s US       look for up to US microseconds before sleeping\n"
	      "  -n COUNT    round trips, default 10000\n"
	      "  -b BYTES    of a request, default 64\n", to);
}

static uint32_t number(const char *text, const char *what)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || end == text || *text == '-' ||
	    value > UINT32_MAX)
		errx(2, "%s: \"%s\" is no number", what, text);
	return (uint32_t)value;
}

/* Copies what came to where it goes; 1 to go on, 0 at the end, or an error. */
static ssize_t answer_some(struct vmc_connection *connection)
{
	const void *request;
	void *answer;
	ssize_t got, room;

	got = vmc_peek(connection, SIZE_MAX >> 1, &request);
	if (got == -EAGAIN)
		return vmc_wait(connection, VMC_WAIT_DATA, -1);
	if (got <= 0)
		return got;
	room = vmc_reserve(connection, (size_t)got, &answer);
	if (room == -EAGAIN)
		return vmc_wait(connection, VMC_WAIT_SPACE, -1);
	if (room < 0)
		return room;
	memcpy(answer, request, (size_t)room);
	return vmc_release(connection, (size_t)room) ?:
	       vmc_commit(connection, (size_t)room) ?: 1;
}

static void serve(const char *address, const char *port, uint32_t spin_us)
{
	struct place place = wait_at(address, port);
	struct vmc_connection *connection;
	ssize_t ret;

	for (;;) {
		connection = take_next(&place);
		vmc_set_spin(connection, spin_us);
		do
			ret = answer_some(connection);
		while (ret > 0 || ret == -EINTR);
		if (ret < 0)
			warnx("a client was lost: %s", strerror((int)-ret));
		vmc_flush(connection, 1000);
		hang_up(connection);
	}
}

/* One request in flight: all of it out, all of the answer back. */
static void ask_once(struct vmc_connection *connection, size_t bytes)
{
	size_t sent = 0, received = 0;
	const void *answer;
	void *request;
	ssize_t n;

	while (received < bytes) {
		n = sent < bytes ? vmc_reserve(connection, bytes - sent,
					       &request) : -EAGAIN;
		if (n > 0) {
			memset(request, 'r', (size_t)n);
			if (vmc_commit(connection, (size_t)n))
				errx(1, "the server is gone");
			sent += (size_t)n;
		}
		n = vmc_peek(connection, bytes - received, &answer);
		if (n > 0) {
			received += (size_t)n;
			if (vmc_release(connection, (size_t)n))
				errx(1, "the server is gone");
		} else if (n == -EAGAIN) {
			n = vmc_wait(connection, sent < bytes ?
				     VMC_WAIT_DATA | VMC_WAIT_SPACE :
				     VMC_WAIT_DATA, -1);
		}
		if (n <= 0 && n != -EINTR)
			errx(1, "no answer: %s", n ? strerror((int)-n) :
			     "the server ended the connection");
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void ask(const char *host, const char *port, uint32_t count,
		uint32_t bytes, uint32_t spin_us)
{
	double *took_us = calloc(count, sizeof(*took_us));
	struct vmc_connection *connection;
	uint32_t i;

	if (!took_us)
		err(1, "%u round trips", count);
	connection = reach(host, port);
	vmc_set_spin(connection, spin_us);
	for (i = 0; i < count; i++) {
		double begin_us = now_us();

		ask_once(connection, bytes);
		took_us[i] = now_us() - begin_us;
	}
	qsort(took_us, count, sizeof(*took_us), by_size);
	printf("%u round trips of %u bytes over %s: median %.2f us, 99%% within %.2f us\n",
	       count, bytes, carrier(connection),
	       took_us[count / 2], took_us[count - 1 - count / 100]);
	hang_up(connection);
	free(took_us);
}

int main(int argc, char **argv)
{
	uint32_t count = 10000, bytes = 64, spin_us = 0;
	bool is_client = false;
	const char *address = NULL;
	int option;

	while ((option = getopt(argc, argv, "a:b:e:hn:s:")) != -1) {
		switch (option) {
		case 'a':
			address = optarg;
			break;
		case 'b':
			bytes = number(optarg, "-b");
			is_client = true;
			break;
		case 'e':
			be_endpoint(optarg);
			break;
		case 'n':
			count = number(optarg, "-n");
			is_client = true;
			break;
		case 's':
			spin_us = number(optarg, "-s");
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	argv += optind;
	argc -= optind;
	if (argc == 1 && !is_client) {
		serve(address, argv[0], spin_us);
	} else if (argc == 2 && !address && count && bytes) {
		ask(argv[0], argv[1], count, bytes, spin_us);
	} else {
		usage(stderr);
		return 2;
	}
	return 0;
}
