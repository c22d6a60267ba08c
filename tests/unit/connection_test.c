// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lib/vmcircuit.h: a connection over any stream socket, and one over a circuit.
 * No circuit sockets here, so mmap() and ioctl() are played: descriptors of a
 * socket pair stand for the two ends, and a memfd holds what they share. What
 * the kernel does when it wakes and polls is tested in VMs.
 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/vmcircuit.h"
#include "proto/mapping.h"
#include "proto/ring.h"

#define RING_BYTES	VMC_RING_MIN_BYTES
#define PAGE		VMC_PAGE_BYTES
/* In the memfd: two control pages, then the ring of each end. */
#define RINGS_AT	(2 * PAGE)

static struct {
	bool is_circuit;
	int fds[2];
	int memory;
	struct vmc_ctl *ctl;		/* [i] is written by end i */
	struct vmc_connection *ends[2];
	unsigned int nr_rings[2];	/* RING requests of each end */
	unsigned int nr_areas;		/* mapped now */
	int fail_area;			/* its mmap() fails; -1: none */
} world;

static int end_of(int fd)
{
	return world.is_circuit && fd == world.fds[1];
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct vmc_map_info *info;
	va_list args;

	if (!world.is_circuit) {
		errno = ENOTTY;
		return -1;
	}
	if (request == VMC_IOC_RING) {
		world.nr_rings[end_of(fd)]++;
		return 0;
	}
	assert_int_equal(request, VMC_IOC_MAP_INFO);
	va_start(args, request);
	info = va_arg(args, struct vmc_map_info *);
	va_end(args);
	*info = (struct vmc_map_info){ RING_BYTES, RING_BYTES };
	return 0;
}

void *__real_mmap64(void *at, size_t bytes, int protection, int flags, int fd,
		  off_t offset);
void *__wrap_mmap64(void *at, size_t bytes, int protection, int flags, int fd,
		  off_t offset);
void *__wrap_mmap64(void *at, size_t bytes, int protection, int flags, int fd,
		  off_t offset)
{
	int me = end_of(fd), area = (int)(offset >> 32);
	int writer = area == 1 || area == 3 ? !me : me;
	off_t from = area < 2 ? writer * (off_t)PAGE :
				(off_t)RINGS_AT + writer * (off_t)RING_BYTES;
	uint8_t *map;

	if (area == world.fail_area) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	world.nr_areas++;
	if (area < 2) {
		assert_int_equal(bytes, PAGE);
		return __real_mmap64(at, bytes, protection, flags, world.memory,
				   from);
	}
	assert_int_equal(bytes, 2 * RING_BYTES);
	map = __real_mmap64(at, bytes, protection, flags, world.memory, from);
	return __real_mmap64(map + RING_BYTES, RING_BYTES, protection,
			   flags | MAP_FIXED, world.memory, from) -
	       RING_BYTES;
}

int __real_munmap(void *at, size_t bytes);
int __wrap_munmap(void *at, size_t bytes);
int __wrap_munmap(void *at, size_t bytes)
{
	world.nr_areas--;
	return __real_munmap(at, bytes);
}

static int make_sockets(void)
{
	memset(&world, 0, sizeof(world));
	world.fail_area = -1;
	return socketpair(AF_UNIX, SOCK_STREAM, 0, world.fds);
}

static int attach_both(void)
{
	return vmc_attach(world.fds[0], &world.ends[0]) ||
	       vmc_attach(world.fds[1], &world.ends[1]);
}

static int setup_socket(void **state)
{
	(void)state;
	return make_sockets() || attach_both();
}

static int setup_circuit(void **state)
{
	(void)state;
	if (make_sockets())
		return -1;
	world.is_circuit = true;
	world.memory = memfd_create("circuit", 0);
	if (ftruncate(world.memory, RINGS_AT + 2 * RING_BYTES))
		return -1;
	world.ctl = __real_mmap64(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				MAP_SHARED, world.memory, 0);
	return world.ctl == MAP_FAILED || attach_both();
}

static int teardown(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		close(world.fds[i]);
		if (world.ends[i])
			assert_int_equal(vmc_detach(world.ends[i]), 0);
	}
	if (world.is_circuit) {
		assert_int_equal(world.nr_areas, 0);
		__real_munmap(world.ctl, 2 * PAGE);
		close(world.memory);
	}
	return 0;
}

static uint8_t pattern(size_t at)
{
	return (uint8_t)(at * 7 + at / 251);
}

/* As much of @bytes as fits; how much. */
static size_t put(struct vmc_connection *end, size_t at, size_t bytes)
{
	void *span;
	ssize_t room = vmc_reserve(end, bytes, &span);
	ssize_t i;

	if (room == -EAGAIN)
		return 0;
	assert_true(room > 0 && (size_t)room <= bytes);
	for (i = 0; i < room; i++)
		((uint8_t *)span)[i] = pattern(at + (size_t)i);
	assert_int_equal(vmc_commit(end, (size_t)room), 0);
	return (size_t)room;
}

static size_t take(struct vmc_connection *end, size_t at, size_t bytes)
{
	const void *span;
	ssize_t got = vmc_peek(end, bytes, &span);
	ssize_t i;

	if (got == -EAGAIN)
		return 0;
	assert_true(got > 0 && (size_t)got <= bytes);
	for (i = 0; i < got; i++)
		assert_int_equal(((const uint8_t *)span)[i],
				 pattern(at + (size_t)i));
	assert_int_equal(vmc_release(end, (size_t)got), 0);
	return (size_t)got;
}

static void test_bytes_arrive(void **state)
{
	const size_t total = 40 * RING_BYTES;
	size_t put_at = 0, take_at = 0;
	unsigned int round;

	(void)state;
	for (round = 0; take_at < total; round++) {
		put_at += put(world.ends[0], put_at, 1 + round * 37 % 6000);
		take_at += take(world.ends[1], take_at, 1 + round * 53 % 7000);
		if (put_at > total)
			take_at += take(world.ends[1], take_at, SIZE_MAX / 2);
	}
	while (take_at < put_at)
		take_at += take(world.ends[1], take_at, SIZE_MAX / 2);
	assert_int_equal(take(world.ends[1], take_at, 1), 0);
}

static void test_both_ways_at_once(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < 100; i++) {
		assert_int_equal(put(world.ends[0], i, 100), 100);
		assert_int_equal(put(world.ends[1], i + 5, 50), 50);
		assert_int_equal(take(world.ends[1], i, 100), 100);
		assert_int_equal(take(world.ends[0], i + 5, 50), 50);
	}
}

static void test_wait_says_what_is_ready(void **state)
{
	(void)state;
	assert_int_equal(vmc_wait(world.ends[0], 0, 0), -EINVAL);
	assert_int_equal(vmc_wait(world.ends[0], 4, 0), -EINVAL);
	assert_int_equal(vmc_wait(world.ends[1], VMC_WAIT_DATA, 0), 0);
	assert_int_equal(vmc_wait(world.ends[1], VMC_WAIT_DATA, 20), 0);
	assert_int_equal(vmc_wait(world.ends[1],
				  VMC_WAIT_DATA | VMC_WAIT_SPACE, -1),
			 VMC_WAIT_SPACE);
	put(world.ends[0], 0, 10);
	assert_int_equal(vmc_wait(world.ends[1], VMC_WAIT_DATA, -1),
			 VMC_WAIT_DATA);
	vmc_set_spin(world.ends[1], 1000);
	assert_int_equal(take(world.ends[1], 0, 100), 10);
	assert_int_equal(vmc_wait(world.ends[1], VMC_WAIT_DATA, 0), 0);
}

static void test_socket_kind(void **state)
{
	(void)state;
	assert_int_equal(vmc_kind(world.ends[0]), VMC_KIND_SOCKET);
	assert_int_equal(vmc_fd(world.ends[0]), world.fds[0]);
}

static void test_socket_ends(void **state)
{
	const void *span;

	(void)state;
	put(world.ends[0], 0, 10);
	assert_int_equal(vmc_flush(world.ends[0], 100), 0);
	assert_int_equal(vmc_shutdown(world.ends[0]), 0);
	assert_int_equal(take(world.ends[1], 0, 100), 10);
	assert_int_equal(vmc_peek(world.ends[1], 1, &span), 0);
	assert_int_equal(vmc_wait(world.ends[1], VMC_WAIT_DATA, -1),
			 VMC_WAIT_DATA);
}

/* What the socket does not take stays in the buffer, and nothing is lost. */
static void test_socket_full(void **state)
{
	size_t put_at = 0, take_at = 0, n;
	void *span;

	(void)state;
	while ((n = put(world.ends[0], put_at, 1 << 20)))
		put_at += n;
	assert_int_equal(vmc_reserve(world.ends[0], 1, &span), -EAGAIN);
	assert_int_equal(vmc_wait(world.ends[0], VMC_WAIT_SPACE, 10), 0);
	assert_int_equal(vmc_flush(world.ends[0], 10), -ETIMEDOUT);
	assert_int_equal(vmc_shutdown(world.ends[0]), -EAGAIN);
	assert_int_equal(vmc_detach(world.ends[0]), -EAGAIN);
	while (take_at < put_at) {
		take_at += take(world.ends[1], take_at, 1 << 20);
		vmc_wait(world.ends[0], VMC_WAIT_SPACE, 0);
	}
	assert_int_equal(vmc_flush(world.ends[0], -1), 0);
}

static void test_socket_peer_gone(void **state)
{
	const void *data;
	void *span;

	(void)state;
	close(world.fds[1]);
	assert_int_equal(vmc_peek(world.ends[0], 1, &data), 0);
	assert_true(vmc_reserve(world.ends[0], 1, &span) > 0);
	assert_int_equal(vmc_commit(world.ends[0], 1), -EPIPE);
	world.fds[1] = -1;
}

/* Whatever is called in between, a reserved span stays where it is. */
static void test_socket_span_stays(void **state)
{
	void *span, *same;

	(void)state;
	put(world.ends[0], 0, 100);
	assert_int_equal(vmc_reserve(world.ends[0], 100, &span), 100);
	assert_int_equal(vmc_wait(world.ends[0], VMC_WAIT_SPACE, 0),
			 VMC_WAIT_SPACE);
	assert_int_equal(vmc_flush(world.ends[0], 100), 0);
	assert_int_equal(vmc_reserve(world.ends[0], 100, &same), 100);
	assert_ptr_equal(span, same);
	*(uint8_t *)span = pattern(100);
	assert_int_equal(vmc_commit(world.ends[0], 1), 0);
	assert_int_equal(take(world.ends[1], 0, 1000), 101);
}

static void test_socket_detach_loses_nothing(void **state)
{
	const void *data;

	(void)state;
	put(world.ends[0], 0, 100);
	assert_int_equal(vmc_peek(world.ends[1], 100, &data), 100);
	assert_int_equal(vmc_detach(world.ends[1]), -EBUSY);
	assert_int_equal(take(world.ends[1], 0, 100), 100);
}

/* As a program does to wake a thread that waits. */
static void test_circuit_shut_for_reading(void **state)
{
	const void *data;

	(void)state;
	put(world.ends[0], 0, 10);
	assert_int_equal(shutdown(world.fds[1], SHUT_RD), 0);
	assert_int_equal(take(world.ends[1], 0, 100), 10);
	assert_int_equal(vmc_wait(world.ends[1], VMC_WAIT_DATA, -1),
			 VMC_WAIT_DATA);
	assert_int_equal(vmc_peek(world.ends[1], 1, &data), 0);
}

/* The kernel wakes for nothing, as it may. */
static void test_circuit_wait_ends_in_time(void **state)
{
	(void)state;
	assert_int_equal(write(world.fds[0], "x", 1), 1);
	assert_int_equal(vmc_wait(world.ends[1], VMC_WAIT_DATA, 20), 0);
}

static void test_circuit_spans_are_whole(void **state)
{
	const void *data;
	void *span;

	(void)state;
	assert_int_equal(vmc_kind(world.ends[0]), VMC_KIND_CIRCUIT);
	put(world.ends[0], 0, RING_BYTES - 100);
	take(world.ends[1], 0, RING_BYTES);
	/* From here on everything wraps, and shows no seam. */
	assert_int_equal(vmc_reserve(world.ends[0], SIZE_MAX / 2, &span),
			 RING_BYTES);
	assert_int_equal(put(world.ends[0], 3, RING_BYTES), RING_BYTES);
	assert_int_equal(vmc_reserve(world.ends[0], 1, &span), -EAGAIN);
	assert_int_equal(vmc_peek(world.ends[1], SIZE_MAX / 2, &data),
			 RING_BYTES);
	assert_int_equal(take(world.ends[1], 3, RING_BYTES), RING_BYTES);
}

static void set(__le32 *field, uint32_t value)
{
	*field = htole32(value);
}

static void test_circuit_rings_who_waits(void **state)
{
	(void)state;
	put(world.ends[0], 0, 10);
	assert_int_equal(world.nr_rings[0], 0);
	set(&world.ctl[1].data_wait, 1);
	put(world.ends[0], 10, 10);
	put(world.ends[0], 20, 10);
	assert_int_equal(world.nr_rings[0], 1);
	set(&world.ctl[0].space_wait, 1);
	take(world.ends[1], 0, 5);
	assert_int_equal(world.nr_rings[1], 1);
}

static void test_circuit_ends(void **state)
{
	const void *data;
	void *span;

	(void)state;
	put(world.ends[0], 0, 10);
	set(&world.ctl[0].flags, VMC_CTL_FIN);
	assert_int_equal(take(world.ends[1], 0, 100), 10);
	assert_int_equal(vmc_peek(world.ends[1], 1, &data), 0);
	/* The kernel said FIN for this end, so it sends no more. */
	assert_int_equal(vmc_reserve(world.ends[0], 1, &span), -EPIPE);
	set(&world.ctl[0].flags, VMC_CTL_FIN | VMC_CTL_GONE);
	assert_int_equal(vmc_reserve(world.ends[1], 1, &span), -EPIPE);
}

static void assert_lost(struct vmc_connection *end, unsigned int what)
{
	const void *data;
	void *span;

	assert_int_equal(vmc_wait(end, what, -1), what);
	assert_int_equal(vmc_peek(end, 1, &data), -ECONNRESET);
	assert_int_equal(vmc_reserve(end, 1, &span), -ECONNRESET);
	assert_int_equal(vmc_commit(end, 0), -ECONNRESET);
	assert_int_equal(vmc_release(end, 0), -ECONNRESET);
}

static void test_circuit_reset(void **state)
{
	(void)state;
	set(&world.ctl[0].flags, VMC_CTL_RST);
	assert_lost(world.ends[1], VMC_WAIT_DATA);
}

static void test_circuit_lies_of_the_peer(void **state)
{
	(void)state;
	set(&world.ctl[0].prod, RING_BYTES + 1);
	assert_lost(world.ends[1], VMC_WAIT_DATA);
	/* One more than was ever sent. */
	set(&world.ctl[1].cons, 1);
	assert_lost(world.ends[0], VMC_WAIT_SPACE);
}

static void test_circuit_goes_on_after_others(void **state)
{
	(void)state;
	put(world.ends[0], 0, 700);
	take(world.ends[1], 0, 300);
	assert_int_equal(vmc_detach(world.ends[1]), 0);
	assert_int_equal(vmc_attach(world.fds[1], &world.ends[1]), 0);
	assert_int_equal(take(world.ends[1], 300, 1000), 400);
}

static void test_attach_undoes_what_fails(void **state)
{
	struct vmc_connection *end;
	unsigned int before = world.nr_areas;

	(void)state;
	for (world.fail_area = 0; world.fail_area < 4; world.fail_area++) {
		assert_int_equal(vmc_attach(world.fds[0], &end), -ENOMEM);
		assert_int_equal(world.nr_areas, before);
	}
	world.fail_area = -1;
}

static void test_attach_wants_a_connected_stream(void **state)
{
	struct vmc_connection *end;
	int fd, pipes[2];

	(void)state;
	memset(&world, 0, sizeof(world));
	assert_int_equal(vmc_attach(-1, &end), -EBADF);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(vmc_attach(pipes[0], &end), -ENOTSOCK);
	close(pipes[0]);
	close(pipes[1]);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(vmc_attach(fd, &end), -EPROTOTYPE);
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(vmc_attach(fd, &end), -ENOTCONN);
	close(fd);
}

#define SOCKET(test) cmocka_unit_test_setup_teardown(test, setup_socket, teardown)
#define CIRCUIT(test) cmocka_unit_test_setup_teardown(test, setup_circuit, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attach_wants_a_connected_stream),
		SOCKET(test_bytes_arrive),
		SOCKET(test_both_ways_at_once),
		SOCKET(test_wait_says_what_is_ready),
		SOCKET(test_socket_kind),
		SOCKET(test_socket_ends),
		SOCKET(test_socket_full),
		SOCKET(test_socket_peer_gone),
		SOCKET(test_socket_span_stays),
		SOCKET(test_socket_detach_loses_nothing),
		CIRCUIT(test_circuit_shut_for_reading),
		CIRCUIT(test_circuit_wait_ends_in_time),
		CIRCUIT(test_bytes_arrive),
		CIRCUIT(test_both_ways_at_once),
		CIRCUIT(test_wait_says_what_is_ready),
		CIRCUIT(test_circuit_spans_are_whole),
		CIRCUIT(test_circuit_rings_who_waits),
		CIRCUIT(test_circuit_ends),
		CIRCUIT(test_circuit_reset),
		CIRCUIT(test_circuit_lies_of_the_peer),
		CIRCUIT(test_circuit_goes_on_after_others),
		CIRCUIT(test_attach_undoes_what_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
