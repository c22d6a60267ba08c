// SPDX-License-Identifier: MIT
/*
 * vmc-cp - send a file, or what comes on stdin, to another machine, in place.
 *
 *   vmc-cp [-e SOCKET] -l [-a ADDRESS] PORT FILE   receive one file into FILE
 *   vmc-cp [-e SOCKET] FILE HOST PORT              send FILE
 *
 * With -e it is an endpoint, on the host of a switch.
 * The sender reads the file straight into the ring that the receiver writes
 * from. FILE may be "-" for stdin or stdout. The receiver answers with the
 * number of bytes that it has written, so the sender knows that all arrived.
 */
#include <endian.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "examples/dial.h"
#include "examples/reach.h"
#include "lib/vmcircuit.h"

/* One read or write; large enough that system calls do not count. */
#define BLOCK_BYTES (256U << 10)

static void usage(FILE *to)
{
	fputs("usage: vmc-cp [-e SOCKET] FILE HOST PORT              send FILE\n"
	      "       vmc-cp [-e SOCKET] -l [-a ADDRESS] PORT FILE   receive one file\n"
	      "  -e SOCKET   as the endpoint of a switch on this host\n"
	      "  -a ADDRESS  listen there only\n"
	      "FILE may be - for stdin or stdout.\n", to);
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void report(const struct vmc_connection *connection, uint64_t bytes,
		   double begin_s)
{
	double seconds = now_s() - begin_s;

	fprintf(stderr, "vmc-cp: %" PRIu64 " bytes in %.2f s, %.2f Gbit/s, over %s\n",
		bytes, seconds, (double)bytes * 8 / 1e9 / seconds,
		carrier(connection));
}

/* Waits, and ends the program if the connection is lost. */
static void wait_for(struct vmc_connection *connection, unsigned int what)
{
	int ready = vmc_wait(connection, what, -1);

	if (ready < 0 && ready != -EINTR)
		errx(1, "waiting for the peer: %s", strerror(-ready));
}

/* The receiver's answer: how many bytes it has written. */
static uint64_t read_answer(struct vmc_connection *connection)
{
	uint8_t answer[sizeof(uint64_t)];
	size_t done = 0;
	const void *span;
	uint64_t bytes;
	ssize_t got;

	while (done < sizeof(answer)) {
		got = vmc_peek(connection, sizeof(answer) - done, &span);
		if (got == -EAGAIN) {
			wait_for(connection, VMC_WAIT_DATA);
			continue;
		}
		if (got <= 0)
			errx(1, "the receiver ended early: %s",
			     got ? strerror((int)-got) : "no answer");
		memcpy(answer + done, span, (size_t)got);
		done += (size_t)got;
		if (vmc_release(connection, (size_t)got))
			errx(1, "the receiver is gone");
	}
	memcpy(&bytes, answer, sizeof(bytes));
	return le64toh(bytes);
}

static uint64_t send_all(struct vmc_connection *connection, int file)
{
	uint64_t total = 0;
	ssize_t room, got;
	void *span;

	for (;;) {
		room = vmc_reserve(connection, BLOCK_BYTES, &span);
		if (room == -EAGAIN) {
			wait_for(connection, VMC_WAIT_SPACE);
			continue;
		}
		if (room < 0)
			errx(1, "sending: %s", strerror((int)-room));
		got = read(file, span, (size_t)room);
		if (got < 0)
			err(1, "reading");
		if (!got)
			return total;
		if (vmc_commit(connection, (size_t)got))
			errx(1, "the receiver is gone");
		total += (uint64_t)got;
	}
}

static void send_file(const char *path, const char *host, const char *port)
{
	bool is_stdin = !strcmp(path, "-");
	int file = is_stdin ? STDIN_FILENO : open(path, O_RDONLY), error;
	struct vmc_connection *connection;
	uint64_t sent, written;
	double begin_s;

	if (file < 0)
		err(1, "%s", path);
	connection = reach(host, port);
	begin_s = now_s();
	sent = send_all(connection, file);
	error = vmc_flush(connection, -1);
	if (!error)
		error = vmc_shutdown(connection);
	if (error)
		errx(1, "sending: %s", strerror(-error));
	written = read_answer(connection);
	report(connection, sent, begin_s);
	if (written != sent)
		errx(1, "the receiver wrote %" PRIu64 " of %" PRIu64 " bytes",
		     written, sent);
	hang_up(connection);
	close(file);
}

/* What was written last may not be the sender's; a pipe cannot be helped. */
static void take_back(int file, off_t bytes)
{
	off_t end = lseek(file, 0, SEEK_CUR);

	if (end >= bytes && ftruncate(file, end - bytes))
		warn("the last %jd bytes may be wrong", (intmax_t)bytes);
}

static uint64_t receive_all(struct vmc_connection *connection, int file)
{
	uint64_t total = 0;
	const void *span;
	ssize_t got, put;

	for (;;) {
		got = vmc_peek(connection, BLOCK_BYTES, &span);
		if (got == -EAGAIN) {
			wait_for(connection, VMC_WAIT_DATA);
			continue;
		}
		if (got < 0)
			errx(1, "receiving: %s", strerror((int)-got));
		if (!got)
			return total;
		put = write(file, span, (size_t)got);
		if (put < 0)
			err(1, "writing");
		if (vmc_release(connection, (size_t)put)) {
			take_back(file, (off_t)put);
			errx(1, "receiving: the sender is gone");
		}
		total += (uint64_t)put;
	}
}

static void answer(struct vmc_connection *connection, uint64_t bytes)
{
	uint64_t wire = htole64(bytes);
	size_t done = 0;
	ssize_t room;
	void *span;

	while (done < sizeof(wire)) {
		room = vmc_reserve(connection, sizeof(wire) - done, &span);
		if (room == -EAGAIN) {
			wait_for(connection, VMC_WAIT_SPACE);
			continue;
		}
		if (room < 0)
			errx(1, "answering: %s", strerror((int)-room));
		memcpy(span, (const uint8_t *)&wire + done, (size_t)room);
		done += (size_t)room;
		if (vmc_commit(connection, (size_t)room))
			errx(1, "answering: the sender is gone");
	}
	vmc_flush(connection, -1);
}

static void receive_file(const char *address, const char *port,
			 const char *path)
{
	bool is_stdout = !strcmp(path, "-");
	int file = is_stdout ? STDOUT_FILENO :
			       open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	struct vmc_connection *connection;
	struct place place;
	double begin_s;
	uint64_t bytes;

	if (file < 0)
		err(1, "%s", path);
	place = wait_at(address, port);
	connection = take_next(&place);
	begin_s = now_s();
	bytes = receive_all(connection, file);
	if (!is_stdout && close(file))
		err(1, "%s", path);
	answer(connection, bytes);
	report(connection, bytes, begin_s);
	hang_up(connection);
}

int main(int argc, char **argv)
{
	const char *address = NULL;
	bool is_receiver = false;
	int option;

	while ((option = getopt(argc, argv, "a:e:hl")) != -1) {
		switch (option) {
		case 'a':
			address = optarg;
			break;
		case 'e':
			be_endpoint(optarg);
			break;
		case 'l':
			is_receiver = true;
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
	if (argc != (is_receiver ? 2 : 3) || (address && !is_receiver)) {
		usage(stderr);
		return 2;
	}
	if (is_receiver)
		receive_file(address, argv[0], argv[1]);
	else
		send_file(argv[0], argv[1], argv[2]);
	return 0;
}
