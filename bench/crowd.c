// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any number of connections at once between two processes of one thread each,
 * over TCP (or circuits) and over vsock.
 *
 *   crowd serve ADDRESS PORT                               for any client
 *   crowd send ADDRESS PORT CONNECTIONS BYTES SECONDS      a stream on each
 *   crowd ask ADDRESS PORT CONNECTIONS BYTES SECONDS FILE  idle until FILE goes,
 *                                                          then requests on each
 *
 * ADDRESS is of IPv4, or "vsock:CID". BYTES is what goes into one call. The
 * first byte of a connection tells the server what it is for; a stream is
 * answered, at its end, with the number of bytes that came.
 *
 * Prints one line of JSON; "ask" one more before, when all connections stand.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_BYTES	(1U << 20)
#define NR_EVENTS	256
#define VSOCK_PREFIX	"vsock:"
#define LOOK_US		20000
/* Connections that are being made at the same time, and how long to wait. */
#define NR_DIALLED	64
#define DIAL_MS		30000

enum use { USE_NONE = 0, USE_SEND = 'S', USE_ASK = 'A' };

struct connection {
	int fd;
	char use;
	uint64_t done_bytes;	/* of this request, or of the whole stream */
	uint64_t count;		/* finished requests, or what the server got */
};

static uint8_t block[BLOCK_BYTES];

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static socklen_t resolve(const char *address, const char *port,
			 struct sockaddr_storage *ret_name)
{
	struct sockaddr_in *four = (struct sockaddr_in *)ret_name;
	struct sockaddr_vm *vm = (struct sockaddr_vm *)ret_name;
	size_t prefix = strlen(VSOCK_PREFIX);

	memset(ret_name, 0, sizeof(*ret_name));
	if (!strncmp(address, VSOCK_PREFIX, prefix)) {
		vm->svm_family = AF_VSOCK;
		vm->svm_cid = (unsigned int)strtoul(address + prefix, NULL, 10);
		vm->svm_port = (unsigned int)atoi(port);
		return sizeof(*vm);
	}
	if (inet_pton(AF_INET, address, &four->sin_addr) != 1)
		errx(2, "\"%s\" is no address", address);
	four->sin_family = AF_INET;
	four->sin_port = htons((in_port_t)atoi(port));
	return sizeof(*four);
}

static void watch(int epoll, int how, struct connection *connection,
		  uint32_t events)
{
	struct epoll_event event = { .events = events,
				     .data.ptr = connection };

	if (epoll_ctl(epoll, how, connection->fd, &event))
		err(1, "epoll_ctl");
}

/* The server -------------------------------------------------------------- */

static void end(struct connection *connection)
{
	close(connection->fd);
	free(connection);
}

/* Answers are short, so a socket that does not take one whole is a fault. */
static bool answer(struct connection *connection, const void *data,
		   size_t bytes)
{
	return send(connection->fd, data, bytes, MSG_NOSIGNAL) ==
	       (ssize_t)bytes;
}

static void take(struct connection *connection)
{
	ssize_t got = recv(connection->fd, block, sizeof(block), 0);
	size_t skip = 0;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0 && !connection->use) {
		connection->use = (char)block[0];
		skip = 1;
	}
	if (got > 0) {
		got -= (ssize_t)skip;
		connection->done_bytes += (uint64_t)got;
		if (connection->use != USE_ASK || !got ||
		    answer(connection, block + skip, (size_t)got))
			return;
		warn("an answer was not taken");
	} else if (!got && connection->use == USE_SEND) {
		answer(connection, &connection->done_bytes,
		       sizeof(connection->done_bytes));
	}
	end(connection);
}

static void take_connection(int epoll, int listener)
{
	struct connection *connection;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

	if (fd < 0)
		return;
	connection = calloc(1, sizeof(*connection));
	if (!connection)
		err(1, "memory");
	connection->fd = fd;
	watch(epoll, EPOLL_CTL_ADD, connection, EPOLLIN);
}

static void serve(const char *address, const char *port)
{
	struct epoll_event events[NR_EVENTS];
	struct connection listener = { 0 };
	struct sockaddr_storage name;
	socklen_t name_bytes = resolve(address, port, &name);
	int epoll = epoll_create1(0), on = 1, nr;

	listener.fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (listener.fd < 0)
		err(1, "socket");
	setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener.fd, (struct sockaddr *)&name, name_bytes) ||
	    listen(listener.fd, 4096))
		err(1, "listen at %s %s", address, port);
	watch(epoll, EPOLL_CTL_ADD, &listener, EPOLLIN);
	for (;;) {
		nr = epoll_wait(epoll, events, NR_EVENTS, -1);
		for (int i = 0; i < nr; i++) {
			if (events[i].data.ptr == &listener)
				take_connection(epoll, listener.fd);
			else
				take(events[i].data.ptr);
		}
	}
}

/* The client -------------------------------------------------------------- */

/* Begins to connect; what it becomes is told by epoll. */
static void begin_dial(int epoll, struct connection *connection,
		       const struct sockaddr_storage *name,
		       socklen_t name_bytes)
{
	connection->fd = socket(name->ss_family,
				SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (connection->fd < 0)
		err(1, "socket");
	if (connect(connection->fd, (const struct sockaddr *)name,
		    name_bytes) && errno != EINPROGRESS)
		err(1, "connect");
	watch(epoll, EPOLL_CTL_ADD, connection, EPOLLOUT);
}

/* Says what the connection is for. */
static void end_dial(int epoll, struct connection *connection)
{
	socklen_t error_bytes = sizeof(int);
	int error = 0;

	if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error,
		       &error_bytes) || error)
		errx(1, "connect: %s", strerror(error));
	if (send(connection->fd, &connection->use, 1, MSG_NOSIGNAL) != 1)
		err(1, "the first byte");
	epoll_ctl(epoll, EPOLL_CTL_DEL, connection->fd, NULL);
}

static struct connection *dial_all(const char *address, const char *port,
				   size_t nr, char use)
{
	struct connection *all = calloc(nr, sizeof(*all));
	struct epoll_event events[NR_DIALLED];
	size_t begun = 0, done = 0;
	struct sockaddr_storage name;
	socklen_t name_bytes = resolve(address, port, &name);
	int epoll = epoll_create1(0), ready;

	if (!all)
		err(1, "memory");
	while (done < nr) {
		for (; begun < nr && begun - done < NR_DIALLED; begun++) {
			all[begun].use = use;
			begin_dial(epoll, &all[begun], &name, name_bytes);
		}
		ready = epoll_wait(epoll, events, NR_DIALLED, DIAL_MS);
		if (!ready)
			errx(1, "%zu of %zu connections stand after %d ms without another",
			     done, nr, DIAL_MS);
		for (int i = 0; i < ready; i++, done++)
			end_dial(epoll, events[i].data.ptr);
	}
	close(epoll);
	return all;
}

/* @all may be NULL, when nothing was counted yet. */
static void report(const char *what, const struct connection *all, size_t nr,
		   size_t bytes, double seconds)
{
	uint64_t total = 0;

	for (size_t i = 0; all && i < nr; i++)
		total += all[i].count;
	printf("{\"what\": \"%s\", \"connections\": %zu, \"bytes\": %zu, \"seconds\": %.4f, \"total\": %llu, \"each\": [",
	       what, nr, bytes, seconds, (unsigned long long)total);
	for (size_t i = 0; all && i < nr; i++)
		printf("%s%llu", i ? ", " : "",
		       (unsigned long long)all[i].count);
	puts("]}");
	fflush(stdout);
}

/* What the server got of a stream; its connection ends with that. */
static void take_count(struct connection *connection)
{
	if (fcntl(connection->fd, F_SETFL, 0) ||
	    recv(connection->fd, &connection->count,
		 sizeof(connection->count), MSG_WAITALL) !=
	    sizeof(connection->count))
		err(1, "the server's count");
	if (connection->count != connection->done_bytes)
		errx(1, "%llu bytes were sent and %llu came",
		     (unsigned long long)connection->done_bytes,
		     (unsigned long long)connection->count);
	close(connection->fd);
}

static void send_some(struct connection *connection, size_t bytes)
{
	ssize_t n = send(connection->fd, block, bytes, MSG_NOSIGNAL);

	if (n > 0)
		connection->done_bytes += (uint64_t)n;
	else if (n < 0 && errno != EAGAIN)
		err(1, "send");
}

static void send_all(struct connection *all, size_t nr, size_t bytes,
		     double seconds)
{
	struct epoll_event events[NR_EVENTS];
	int epoll = epoll_create1(0), ready;
	double begin_s;

	for (size_t i = 0; i < nr; i++)
		watch(epoll, EPOLL_CTL_ADD, &all[i], EPOLLOUT);
	begin_s = now_s();
	while (now_s() - begin_s < seconds) {
		ready = epoll_wait(epoll, events, NR_EVENTS, 1000);
		for (int i = 0; i < ready; i++)
			send_some(events[i].data.ptr, bytes);
	}
	for (size_t i = 0; i < nr; i++)
		shutdown(all[i].fd, SHUT_WR);
	for (size_t i = 0; i < nr; i++)
		take_count(&all[i]);
	report("send", all, nr, bytes, now_s() - begin_s);
}

static void ask(struct connection *connection, size_t bytes)
{
	connection->done_bytes = 0;
	if (send(connection->fd, block, bytes, MSG_NOSIGNAL) !=
	    (ssize_t)bytes)
		err(1, "a request");
}

/* Goes on with the next request when the answer to one is whole. */
static void take_answer(struct connection *connection, size_t bytes)
{
	ssize_t got = recv(connection->fd, block,
			   bytes - connection->done_bytes, 0);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0)
		err(1, "an answer");
	connection->done_bytes += (uint64_t)got;
	if (connection->done_bytes < bytes)
		return;
	connection->count++;
	ask(connection, bytes);
}

static void ask_all(struct connection *all, size_t nr, size_t bytes,
		    double seconds)
{
	struct epoll_event events[NR_EVENTS];
	int epoll = epoll_create1(0), ready;
	double begin_s = now_s(), now = begin_s;

	for (size_t i = 0; i < nr; i++) {
		watch(epoll, EPOLL_CTL_ADD, &all[i], EPOLLIN);
		ask(&all[i], bytes);
	}
	while (now - begin_s < seconds) {
		ready = epoll_wait(epoll, events, NR_EVENTS, 1000);
		for (int i = 0; i < ready; i++)
			take_answer(events[i].data.ptr, bytes);
		now = now_s();
	}
	report("ask", all, nr, bytes, now - begin_s);
}

static void stand_and_ask(struct connection *all, size_t nr, size_t bytes,
			  double seconds, const char *file, double begin_s)
{
	report("stand", NULL, nr, bytes, now_s() - begin_s);
	while (!access(file, F_OK))
		usleep(LOOK_US);
	ask_all(all, nr, bytes, seconds);
}

int main(int argc, char **argv)
{
	struct rlimit files = { 65536, 65536 };
	const char *what = argc > 1 ? argv[1] : "";
	size_t nr = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	size_t bytes = argc > 5 ? strtoul(argv[5], NULL, 10) : 0;
	double begin_s = now_s();

	if (bytes > sizeof(block))
		errx(2, "at most %zu bytes at once", sizeof(block));
	setrlimit(RLIMIT_NOFILE, &files);
	if (argc == 4 && !strcmp(what, "serve"))
		serve(argv[2], argv[3]);
	else if (argc == 7 && nr && !strcmp(what, "send"))
		send_all(dial_all(argv[2], argv[3], nr, USE_SEND), nr, bytes,
			 atof(argv[6]));
	else if (argc == 8 && nr && !strcmp(what, "ask"))
		stand_and_ask(dial_all(argv[2], argv[3], nr, USE_ASK), nr,
			      bytes, atof(argv[6]), argv[7], begin_s);
	else
		errx(2, "usage: crowd serve|send|ask ADDRESS PORT ..., see the source");
	return 0;
}
