// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a process may do with the memory that it shares: write its own segment
 * and read the other one, and nothing is left there for the next. And what it
 * can do with the host's other calls, right in the rings.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/endpoint.h"
#include "lib/mapped.h"
#include "tests/unit/endpoint_world.h"

#define FILE_BYTES	(256U << 10)

static int start_unprivileged(void **state)
{
	(void)state;
	world_start_with("user = \"nobody\"\n"
			 "endpoint \"a\" { socket = \"@/a\" "
			 "addresses = { \"" WORLD_A "/24\" } "
			 "users = { \"54321\" } }\n"
			 "endpoint \"b\" { socket = \"@/b\" "
			 "addresses = { \"" WORLD_B "/24\" } }\n");
	return 0;
}

/* What failed, as a number of the line; 0: nothing. */
#define FAIL_UNLESS(condition) \
	do { \
		if (!(condition)) \
			return __LINE__; \
	} while (0)

/* 0, or why the link's other segment can be written somehow. */
static int try_to_write(int rx_fd)
{
	const size_t bytes = VMC_PAGE_BYTES;
	char path[32];
	void *page;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", rx_fd);
	FAIL_UNLESS((fcntl(rx_fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
	page = mmap(NULL, bytes, PROT_WRITE, MAP_SHARED, rx_fd, 0);
	FAIL_UNLESS(page == MAP_FAILED && errno == EACCES);
	page = mmap(NULL, bytes, PROT_READ, MAP_SHARED, rx_fd, 0);
	FAIL_UNLESS(page != MAP_FAILED);
	FAIL_UNLESS(mprotect(page, bytes, PROT_READ | PROT_WRITE) &&
		    errno == EACCES);
	FAIL_UNLESS(pwrite(rx_fd, "x", 1, 0) < 0 && errno == EBADF);
	FAIL_UNLESS(open(path, O_RDWR | O_CLOEXEC) < 0 && errno == EACCES);
	FAIL_UNLESS(open(path, O_WRONLY | O_CLOEXEC) < 0 && errno == EACCES);
	FAIL_UNLESS(fchmod(rx_fd, 0666) && errno == EPERM);
	FAIL_UNLESS(fchown(rx_fd, getuid(), (gid_t)-1) && errno == EPERM);
	FAIL_UNLESS(fallocate(rx_fd, FALLOC_FL_PUNCH_HOLE |
			      FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes));
	FAIL_UNLESS(ftruncate(rx_fd, 0));
	FAIL_UNLESS(fcntl(rx_fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
	return 0;
}

/* One's own one may write, not change its size under others. */
static int try_to_resize(int tx_fd)
{
	FAIL_UNLESS(ftruncate(tx_fd, 0) && errno == EPERM);
	FAIL_UNLESS(ftruncate(tx_fd, VMC_SEGMENT_BYTES * 2) && errno == EPERM);
	FAIL_UNLESS(fcntl(tx_fd, F_ADD_SEALS, F_SEAL_WRITE) < 0 &&
		    errno == EPERM);
	FAIL_UNLESS(fchmod(tx_fd, 0666) && errno == EPERM);
	return 0;
}

static int try_all(void)
{
	struct vmc_connection *connection;
	struct vmc_endpoint *endpoint;

	FAIL_UNLESS(!setgroups(0, NULL) && !setgid(WORLD_GROUP) &&
		    !setuid(WORLD_USER));
	FAIL_UNLESS(!vmc_endpoint_open(world_path("a"), &endpoint));
	FAIL_UNLESS(!world_dial(endpoint, WORLD_B, 80, WORLD_TIMEOUT_MS,
				&connection));
	FAIL_UNLESS(vmc_send(connection, "hello", 5, 0) == 5);
	return try_to_write(endpoint->links[0].rx_fd) ?:
	       try_to_resize(endpoint->links[0].tx_fd);
}

static void live_unprivileged(int socket)
{
	world_tell(socket, try_all());
	world_hear(socket);
}

static void the_peer_s_segment_is_read_only(void **state)
{
	struct vmc_connection *connection;
	struct vmc_listener *listener;
	struct vmc_endpoint *b;
	struct world_child child;
	char room[5];

	(void)state;
	if (geteuid())
		skip();
	b = world_open("b");
	assert_int_equal(world_listen(b, WORLD_B, 80, &listener), 0);
	child = world_fork(live_unprivileged);
	assert_int_equal(vmc_accept(listener, WORLD_TIMEOUT_MS, NULL,
				    &connection), 0);
	assert_int_equal(vmc_recv(connection, room, 5, WORLD_TIMEOUT_MS), 5);
	assert_memory_equal(room, "hello", 5);
	/* The line above that failed. */
	assert_int_equal(world_hear(child.socket), 0);
	world_tell(child.socket, 0);
	world_end_child(&child, 0);
	vmc_unlisten(listener);
	assert_int_equal(vmc_detach(connection), 0);
	assert_int_equal(vmc_endpoint_close(b), 0);
}

/* How many bytes of the rings of a segment are not zero. */
static size_t count_left(int fd)
{
	static uint8_t bytes[VMC_RING_MIN_BYTES];
	off_t at = (off_t)VMC_RINGS_OFFSET;
	size_t i, nr = 0;
	ssize_t got;

	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		got = pread(fd, bytes, sizeof(bytes), at);
		if (got <= 0)
			break;
		for (i = 0; i < (size_t)got; i++)
			nr += bytes[i] != 0;
		at += got;
	}
	return nr;
}

/* Whatever a process asked for is done when this is answered. */
static void settle(struct vmc_endpoint *endpoint)
{
	struct vmc_listener *listener;

	assert_int_equal(world_listen(endpoint, "127.0.0.1", 9, &listener), 0);
	vmc_unlisten(listener);
}

static void nothing_is_left_in_a_ring(void **state)
{
	static uint8_t secret[VMC_RING_DEFAULT_BYTES];
	struct vmc_endpoint *endpoints[2];
	struct vmc_connection *ends[2];
	struct vmc_listener *listener;
	const struct vmc_end *end;
	unsigned int i;
	size_t at;

	(void)state;
	memset(secret, 0x5e, sizeof(secret));
	world_pair(endpoints, ends);
	assert_int_equal(vmc_detach(ends[0]), 0);
	assert_int_equal(vmc_detach(ends[1]), 0);
	assert_int_equal(world_listen(endpoints[1], WORLD_B, 80, &listener), 0);
	for (i = 0; i < 3; i++) {
		world_join(endpoints[0], listener, WORLD_B, 80, ends);
		end = &vmc_mapped_of(ends[0])->end;
		for (at = 0; at < end->rx_bytes; at++)
			assert_int_equal(end->rx[at], 0);
		for (at = 0; at < end->tx_bytes; at++)
			assert_int_equal(end->tx[at], 0);
		/* Both ways, up to the rim; one of them is not read. */
		assert_int_equal(vmc_send(ends[0], secret, sizeof(secret), 0),
				 sizeof(secret));
		assert_int_equal(vmc_send(ends[1], secret, sizeof(secret), 0),
				 sizeof(secret));
		assert_int_equal(vmc_recv(ends[0], secret, sizeof(secret), 0),
				 sizeof(secret));
		assert_true(count_left(endpoints[0]->links[0].tx_fd) > 0);
		assert_int_equal(vmc_detach(ends[i & 1]), 0);
		assert_int_equal(vmc_detach(ends[!(i & 1)]), 0);
		settle(endpoints[0]);
		settle(endpoints[1]);
		assert_int_equal(count_left(endpoints[0]->links[0].tx_fd), 0);
		assert_int_equal(count_left(endpoints[0]->links[0].rx_fd), 0);
	}
	vmc_unlisten(listener);
	ends[0] = NULL;
	ends[1] = NULL;
	world_unpair(endpoints, ends);
}

/* A file of bytes that are told apart, to be read past the page cache. */
static int open_file(uint8_t *ret_bytes)
{
	const char *path = world_path("data");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	uint32_t seed = 1;
	size_t i;

	for (i = 0; i < FILE_BYTES; i++)
		ret_bytes[i] = (uint8_t)((seed = seed * 69069 + 1) >> 24);
	assert_int_equal(write(fd, ret_bytes, FILE_BYTES), FILE_BYTES);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	return open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
}

static void a_device_reads_into_a_ring(void **state)
{
	static uint8_t bytes[FILE_BYTES], room[FILE_BYTES];
	struct vmc_endpoint *endpoints[2];
	struct vmc_connection *ends[2];
	int fd = open_file(bytes);
	size_t at = 0, back = 0;
	ssize_t got;
	void *span;

	(void)state;
	if (fd < 0) {
		print_message("the file system of /tmp has no O_DIRECT: %s\n",
			      strerror(errno));
		skip();
	}
	world_pair(endpoints, ends);
	while (at < FILE_BYTES) {
		assert_true(vmc_reserve(ends[0], 65536, &span) == 65536);
		got = read(fd, span, 65536);
		assert_int_equal(got, 65536);
		assert_int_equal(vmc_commit(ends[0], (size_t)got), 0);
		at += (size_t)got;
	}
	while (back < FILE_BYTES) {
		got = vmc_recv(ends[1], room + back, FILE_BYTES - back,
			       WORLD_TIMEOUT_MS);
		assert_true(got > 0);
		back += (size_t)got;
	}
	assert_memory_equal(room, bytes, FILE_BYTES);
	close(fd);
	world_unpair(endpoints, ends);
}

/* The pages go into the pipe, of either ring. */
static void splice_out(const void *span, size_t bytes)
{
	struct iovec part = { (void *)span, bytes };
	uint8_t room[4096];
	int pipe_fds[2];

	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(vmsplice(pipe_fds[1], &part, 1, 0), bytes);
	assert_int_equal(read(pipe_fds[0], room, sizeof(room)), bytes);
	assert_memory_equal(room, span, bytes);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void a_pipe_takes_pages_of_a_ring(void **state)
{
	struct vmc_endpoint *endpoints[2];
	struct vmc_connection *ends[2];
	const void *data;
	void *span;

	(void)state;
	world_pair(endpoints, ends);
	assert_int_equal(vmc_reserve(ends[0], 4096, &span), 4096);
	memset(span, 'v', 4096);
	splice_out(span, 4096);
	assert_int_equal(vmc_commit(ends[0], 4096), 0);
	assert_int_equal(vmc_peek(ends[1], 4096, &data), 4096);
	splice_out(data, 4096);
	assert_int_equal(vmc_release(ends[1], 4096), 0);
	world_unpair(endpoints, ends);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name, start) \
	cmocka_unit_test_setup_teardown(name, start, world_stop)
		TEST(the_peer_s_segment_is_read_only, start_unprivileged),
		TEST(nothing_is_left_in_a_ring, world_start),
		TEST(a_device_reads_into_a_ring, world_start),
		TEST(a_pipe_takes_pages_of_a_ring, world_start),
	};

	if (argc != 2)
		return 2;
	world_init(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
