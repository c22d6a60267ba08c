// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What this machine could do at best, for comparison: copies and wake-ups with
 * no network in between. Runs in a guest and on the host.
 *
 *   limit WHAT SECONDS
 *
 *   copy         the kernel copies to a program, from huge pages of a file
 *   memcpy       the program copies itself, within the cache
 *   memcpy-far   the same, beyond the cache
 *   eventfd      two threads wake each other in turns
 *   unix-stream  a stream between two processes, AF_UNIX
 *   unix-rr      64 bytes there and back, AF_UNIX
 *
 * Prints one line of JSON.
 */
#include <err.h>
#include <errno.h>
#include <pthread.h>
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

#define CACHE_LINE_BYTES	64U
#define BLOCK_BYTES		(64U << 10)
/* As the ring of a circuit, so that both lie in the cache or neither does. */
#define NEAR_BYTES		(1U << 20)
#define FAR_BYTES		(64U << 20)
#define HUGE_BYTES		(2U << 20)
#define REQUEST_BYTES		64U
/* Between two looks at the clock. */
#define NR_AT_ONCE		16

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void report(const char *what, double count, const char *unit,
		   double seconds)
{
	printf("{\"what\": \"%s\", \"unit\": \"%s/s\", \"rate\": %.1f, \"seconds\": %.3f}\n",
	       what, unit, count / seconds, seconds);
}

static void *memory(size_t bytes)
{
	void *block = aligned_alloc(CACHE_LINE_BYTES, bytes);

	if (!block)
		err(1, "memory");
	memset(block, 1, bytes);
	return block;
}

/*
 * Huge pages spare the kernel looking each page up, which is no copying. Where
 * none are to be had, the file has ordinary ones.
 */
static int open_source(const char **ret_pages)
{
	int fd = memfd_create("limit", MFD_HUGETLB);
	void *area;

	*ret_pages = "huge";
	if (fd >= 0 && !ftruncate(fd, HUGE_BYTES)) {
		area = mmap(NULL, HUGE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_SHARED, fd, 0);
		if (area != MAP_FAILED) {
			memset(area, 1, HUGE_BYTES);
			munmap(area, HUGE_BYTES);
			return fd;
		}
	}
	*ret_pages = "small";
	fd = memfd_create("limit", 0);
	if (fd < 0 || ftruncate(fd, HUGE_BYTES))
		err(1, "file in memory");
	return fd;
}

static void copy(double seconds)
{
	uint8_t *block = memory(BLOCK_BYTES);
	double begin_s, bytes = 0;
	const char *pages;
	int fd = open_source(&pages);
	size_t at = 0;

	begin_s = now_s();
	while (now_s() - begin_s < seconds) {
		for (int i = 0; i < NR_AT_ONCE; i++) {
			if (pread(fd, block, BLOCK_BYTES, (off_t)at) !=
			    (ssize_t)BLOCK_BYTES)
				err(1, "pread");
			at = (at + BLOCK_BYTES) % NEAR_BYTES;
			bytes += BLOCK_BYTES;
		}
	}
	fprintf(stderr, "limit: %s pages\n", pages);
	report("copy", bytes, "bytes", now_s() - begin_s);
}

static void copy_own(const char *what, size_t area_bytes, double seconds)
{
	uint8_t *from = memory(area_bytes), *to = memory(area_bytes);
	double begin_s = now_s(), bytes = 0;
	size_t at = 0;

	while (now_s() - begin_s < seconds) {
		for (int i = 0; i < NR_AT_ONCE; i++) {
			memcpy(to + at, from + at, BLOCK_BYTES);
			/* Or the compiler might leave out what nobody reads. */
			__asm__ volatile("" : : "r"(to) : "memory");
			at = (at + BLOCK_BYTES) % area_bytes;
			bytes += BLOCK_BYTES;
		}
	}
	report(what, bytes, "bytes", now_s() - begin_s);
}

static void *answer_events(void *owner)
{
	const int *fds = owner;
	uint64_t value;

	while (read(fds[0], &value, sizeof(value)) == sizeof(value) &&
	       value < UINT32_MAX) {
		if (write(fds[1], &value, sizeof(value)) != sizeof(value))
			err(1, "write");
	}
	return NULL;
}

static void wake_each_other(double seconds)
{
	int fds[2] = { eventfd(0, 0), eventfd(0, 0) };
	double begin_s, trips = 0;
	uint64_t value = 1, end = UINT32_MAX;
	pthread_t thread;

	if (fds[0] < 0 || fds[1] < 0 ||
	    pthread_create(&thread, NULL, answer_events, fds))
		err(1, "eventfd");
	begin_s = now_s();
	while (now_s() - begin_s < seconds) {
		for (int i = 0; i < NR_AT_ONCE; i++) {
			if (write(fds[0], &value, sizeof(value)) < 0 ||
			    read(fds[1], &value, sizeof(value)) < 0)
				err(1, "eventfd");
		}
		trips += NR_AT_ONCE;
	}
	report("eventfd", trips, "round trips", now_s() - begin_s);
	if (write(fds[0], &end, sizeof(end)) < 0)
		err(1, "eventfd");
	pthread_join(thread, NULL);
}

static void take_all(int fd, void *block, size_t bytes)
{
	if (recv(fd, block, bytes, MSG_WAITALL) != (ssize_t)bytes)
		err(1, "recv");
}

static void give_all(int fd, const void *block, size_t bytes)
{
	if (send(fd, block, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
		err(1, "send");
}

/* The other process; it ends with the connection. */
static void serve(int fd, size_t bytes, int is_echo)
{
	uint8_t *block = memory(bytes);

	for (;;) {
		ssize_t got = recv(fd, block, bytes,
				   is_echo ? MSG_WAITALL : 0);

		if (got <= 0)
			exit(got < 0);
		if (is_echo)
			give_all(fd, block, (size_t)got);
	}
}

static void converse(const char *what, size_t bytes, int is_echo,
		     double seconds)
{
	uint8_t *block = memory(bytes);
	double begin_s, count = 0;
	pid_t child;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		err(1, "socketpair");
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child) {
		close(fds[0]);
		serve(fds[1], bytes, is_echo);
	}
	close(fds[1]);
	begin_s = now_s();
	while (now_s() - begin_s < seconds) {
		for (int i = 0; i < NR_AT_ONCE; i++) {
			give_all(fds[0], block, bytes);
			if (is_echo)
				take_all(fds[0], block, bytes);
		}
		count += NR_AT_ONCE;
	}
	close(fds[0]);
	waitpid(child, NULL, 0);
	report(what, is_echo ? count : count * (double)bytes,
	       is_echo ? "round trips" : "bytes", now_s() - begin_s);
}

int main(int argc, char **argv)
{
	const char *what = argc == 3 ? argv[1] : "";
	double seconds = argc == 3 ? atof(argv[2]) : 0;

	if (!strcmp(what, "copy"))
		copy(seconds);
	else if (!strcmp(what, "memcpy"))
		copy_own(what, NEAR_BYTES, seconds);
	else if (!strcmp(what, "memcpy-far"))
		copy_own(what, FAR_BYTES, seconds);
	else if (!strcmp(what, "eventfd"))
		wake_each_other(seconds);
	else if (!strcmp(what, "unix-stream"))
		converse(what, BLOCK_BYTES, 0, seconds);
	else if (!strcmp(what, "unix-rr"))
		converse(what, REQUEST_BYTES, 1, seconds);
	else
		errx(2, "usage: limit copy|memcpy|memcpy-far|eventfd|unix-stream|unix-rr SECONDS");
	return 0;
}
