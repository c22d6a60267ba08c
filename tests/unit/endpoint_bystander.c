// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A decent process for tests of indecent ones, which are written in Python:
 *
 *   endpoint_bystander serve SOCKET ADDRESS PORT
 *       takes one connection after the other and sends back what comes; prints
 *       "ready"; ends with standard input
 *   endpoint_bystander check SOCKET ADDRESS PORT
 *       sends bytes and checks what comes back; prints "ready" when the first
 *       did, and how many when standard input ends; fails when one is wrong,
 *       or none comes for long
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/endpoint_world.h"

/* Who says nothing for so long is left alone, ms. */
#define PATIENCE_MS	200

static uint8_t sent[300000], room[300000];

/* Standard input says nothing, but it ends. */
static bool is_over(void)
{
	struct pollfd poll_fd = { .fd = 0, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

static void say_ready(void)
{
	puts("ready");
	fflush(stdout);
}

/* As a poll loop waits, or as vmc_wait() does. */
static int await(struct vmc_connection *connection, unsigned int what,
		 bool is_loop)
{
	struct pollfd poll_fd;

	if (!is_loop)
		return vmc_wait(connection, what, PATIENCE_MS);
	poll_fd.fd = vmc_fd(connection);
	poll_fd.events = vmc_events(connection, what);
	return poll(&poll_fd, 1, PATIENCE_MS);
}

static void echo(struct vmc_connection *connection, bool is_loop)
{
	uint64_t end_ms = world_now_ms() + WORLD_TIMEOUT_MS;
	size_t nr = 0, done = 0;
	unsigned int what;
	ssize_t got;

	while (world_now_ms() < end_ms && !is_over()) {
		if (done < nr) {
			what = VMC_WAIT_SPACE;
			got = vmc_send(connection, room + done, nr - done, 0);
			done += got > 0 ? (size_t)got : 0;
		} else {
			what = VMC_WAIT_DATA;
			got = vmc_recv(connection, room, sizeof(room), 0);
			nr = got > 0 ? (size_t)got : 0;
			done = 0;
		}
		if (got > 0) {
			end_ms = world_now_ms() + WORLD_TIMEOUT_MS;
			continue;
		}
		if (got != -EAGAIN || await(connection, what, is_loop) <= 0)
			return;
	}
}

static int serve(struct vmc_endpoint *endpoint, const char *address,
		 uint16_t port)
{
	struct vmc_connection *connection;
	struct vmc_listener *listener;
	unsigned int nr = 0;
	int error;

	error = world_listen(endpoint, address, port, &listener);
	if (error)
		return error;
	say_ready();
	while (!is_over()) {
		error = vmc_accept(listener, 50, NULL, &connection);
		if (error == -EAGAIN)
			continue;
		if (error)
			return error;
		echo(connection, nr++ & 1);
		vmc_detach(connection);
	}
	printf("%u connections\n", nr);
	vmc_unlisten(listener);
	return 0;
}

/* One block there and back. */
static int check_block(struct vmc_connection *connection, uint32_t seed)
{
	size_t i, done = 0, nr = seed % sizeof(sent) + 1;
	ssize_t got;

	for (i = 0; i < nr; i++)
		sent[i] = (uint8_t)((seed = seed * 69069 + 1) >> 24);
	got = vmc_send(connection, sent, nr, WORLD_TIMEOUT_MS);
	if (got != (ssize_t)nr)
		return got < 0 ? (int)got : -EPIPE;
	while (done < nr) {
		got = vmc_recv(connection, room + done, nr - done,
			       WORLD_TIMEOUT_MS);
		if (got <= 0)
			return got < 0 ? (int)got : -EPIPE;
		done += (size_t)got;
	}
	return memcmp(sent, room, nr) ? -EBADMSG : (int)nr;
}

static int check(struct vmc_endpoint *endpoint, const char *address,
		 uint16_t port)
{
	struct vmc_connection *connection;
	uint64_t nr_bytes = 0;
	uint32_t seed = 1;
	int error;

	error = world_dial(endpoint, address, port, WORLD_TIMEOUT_MS,
			   &connection);
	if (error)
		return error;
	do {
		seed = seed * 1103515245 + 12345;
		error = check_block(connection, seed >> 8);
		if (error < 0)
			return error;
		if (!nr_bytes)
			say_ready();
		nr_bytes += (uint64_t)error;
	} while (!is_over());
	printf("%llu bytes\n", (unsigned long long)nr_bytes);
	vmc_detach(connection);
	return 0;
}

int main(int argc, char **argv)
{
	struct vmc_endpoint *endpoint;
	int error;

	if (argc != 5)
		return 2;
	error = vmc_endpoint_open(argv[2], &endpoint);
	if (!error)
		error = (strcmp(argv[1], "serve") ? check : serve)(
			endpoint, argv[3], (uint16_t)atoi(argv[4]));
	if (!error)
		error = vmc_endpoint_close(endpoint);
	if (error)
		fprintf(stderr, "%s: %s\n", argv[1], strerror(-error));
	return error ? 1 : 0;
}
