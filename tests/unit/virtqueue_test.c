// SPDX-License-Identifier: GPL-2.0-or-later
/* A queue that a guest filled, honestly or not; and the guest's memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "switch/virtqueue.h"

#define NR	8
#define GUEST	0x100000ULL
#define USER	0x7f0000000000ULL
#define BYTES	0x10000ULL

static struct vmc_guest_memory memory;
static struct vmc_virtqueue queue;
static uint8_t *ram;

static int set_up(void **state)
{
	const struct vmc_memory_place place = {
		.guest = GUEST, .user = USER, .bytes = BYTES,
	};
	int fd = memfd_create("ram", 0);

	(void)state;
	assert_int_equal(ftruncate(fd, BYTES), 0);
	assert_int_equal(vmc_guest_memory_add(&memory, &place, fd), 0);
	close(fd);
	ram = vmc_guest_memory_at(&memory, GUEST, BYTES);
	queue = (struct vmc_virtqueue){
		.nr_entries = NR,
		.place = { USER, USER + 0x1000, USER + 0x2000 },
		.call_fd = eventfd(0, EFD_NONBLOCK),
	};
	return vmc_virtqueue_map(&queue, &memory);
}

static int tear_down(void **state)
{
	(void)state;
	close(queue.call_fd);
	vmc_guest_memory_clear(&memory);
	return 0;
}

static void set_desc(uint16_t slot, uint64_t address, uint32_t bytes,
		     uint16_t flags, uint16_t next)
{
	queue.desc[slot] = (struct vring_desc){ address, bytes, flags, next };
}

static int offer(uint16_t head, uint16_t count)
{
	struct vmc_chain chain;

	queue.avail->ring[queue.avail->idx % NR] = head;
	queue.avail->idx += count;
	return vmc_virtqueue_pop(&queue, &memory, &chain);
}

static void an_empty_queue_has_nothing(void **state)
{
	struct vmc_chain chain;

	(void)state;
	assert_int_equal(vmc_virtqueue_pop(&queue, &memory, &chain), -EAGAIN);
}

static void a_chain_is_gathered_and_returned(void **state)
{
	struct vmc_chain chain;
	char text[16] = "";
	uint64_t count;

	(void)state;
	memcpy(ram + 0x4000, "hel", 3);
	memcpy(ram + 0x5000, "lo", 2);
	set_desc(3, GUEST + 0x4000, 3, VRING_DESC_F_NEXT, 5);
	set_desc(5, GUEST + 0x5000, 2, 0, 0);
	queue.avail->ring[0] = 3;
	queue.avail->idx = 1;
	assert_int_equal(vmc_virtqueue_pop(&queue, &memory, &chain), 0);
	assert_false(chain.is_writable);
	assert_int_equal(chain.bytes, 5);
	assert_int_equal(vmc_chain_read(&chain, text, sizeof(text)), 5);
	assert_string_equal(text, "hello");
	vmc_virtqueue_push(&queue, &chain, 0);
	assert_int_equal(queue.used->idx, 1);
	assert_int_equal(queue.used->ring[0].id, 3);
	vmc_virtqueue_signal(&queue);
	assert_int_equal(read(queue.call_fd, &count, 8), 8);
	/* Once is enough. */
	vmc_virtqueue_signal(&queue);
	assert_int_equal(read(queue.call_fd, &count, 8), -1);
}

static void a_guest_that_looks_is_not_interrupted(void **state)
{
	const struct vmc_chain chain = { .head = 1 };
	uint64_t count;

	(void)state;
	queue.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	vmc_virtqueue_push(&queue, &chain, 0);
	vmc_virtqueue_signal(&queue);
	assert_int_equal(read(queue.call_fd, &count, 8), -1);
}

static void counters_wrap(void **state)
{
	struct vmc_chain chain;
	unsigned int i;

	(void)state;
	set_desc(0, GUEST, 1, VRING_DESC_F_WRITE, 0);
	for (i = 0; i < 70000; i++) {
		queue.avail->idx++;
		assert_int_equal(vmc_virtqueue_pop(&queue, &memory, &chain),
				 0);
		assert_true(chain.is_writable);
		vmc_virtqueue_push(&queue, &chain, 1);
	}
	assert_int_equal(queue.used->idx, (uint16_t)70000);
}

static void lies_are_found(void **state)
{
	static const struct {
		struct vring_desc desc;
		int error;
	} lies[] = {
		{ { 0, 8, 0, 0 }, -EFAULT },
		{ { GUEST - 1, 8, 0, 0 }, -EFAULT },
		{ { GUEST + BYTES - 7, 8, 0, 0 }, -EFAULT },
		{ { GUEST + BYTES, 1, 0, 0 }, -EFAULT },
		{ { UINT64_MAX, 8, 0, 0 }, -EFAULT },
		{ { GUEST, UINT32_MAX, 0, 0 }, -EFAULT },
		{ { GUEST, 0, 0, 0 }, -ENODATA },
		{ { GUEST, 8, VRING_DESC_F_NEXT, 2 }, -ELOOP },
		{ { GUEST, 8, VRING_DESC_F_NEXT, NR }, -ERANGE },
		{ { GUEST, 8, VRING_DESC_F_NEXT, UINT16_MAX }, -ERANGE },
		{ { GUEST, 8, VRING_DESC_F_INDIRECT, 0 }, -EPROTO },
		{ { GUEST, 8, 0x8000, 0 }, -EPROTO },
		{ { GUEST, 8, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 3 },
		  -EPROTO },
	};
	size_t i;

	(void)state;
	set_desc(3, GUEST, 8, 0, 0);
	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		queue.avail->idx = queue.avail_cons;
		queue.desc[2] = lies[i].desc;
		assert_int_equal(offer(2, 1), lies[i].error);
	}
	queue.avail->idx = queue.avail_cons;
	assert_int_equal(offer(NR, 1), -ERANGE);
	queue.avail->idx = queue.avail_cons;
	assert_int_equal(offer(3, NR + 1), -EOVERFLOW);
	queue.avail->idx = queue.avail_cons;
	assert_int_equal(offer(3, UINT16_MAX), -EOVERFLOW);
}

static void parts_must_lie_in_the_memory(void **state)
{
	static const struct vmc_virtqueue_place places[] = {
		{ 0, USER + 0x1000, USER + 0x2000 },
		{ USER + BYTES - 16, USER + 0x1000, USER + 0x2000 },
		{ USER, USER + BYTES - 4, USER + 0x2000 },
		{ USER, USER + 0x1000, USER + BYTES - 4 },
		{ USER + 8, USER + 0x1000, USER + 0x2000 },
		{ USER, USER + 0x1001, USER + 0x2000 },
		{ USER, USER + 0x1000, USER + 0x2002 },
		{ UINT64_MAX, UINT64_MAX, UINT64_MAX },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		queue.place = places[i];
		assert_int_equal(vmc_virtqueue_map(&queue, &memory), -EFAULT);
		assert_null(queue.desc);
	}
}

static void regions_are_checked(void **state)
{
	static const struct {
		struct vmc_memory_place place;
		int error;
	} lies[] = {
		{ { 0, 0, 0, 0 }, -EINVAL },
		{ { UINT64_MAX, 0, 4096, 0 }, -EINVAL },
		{ { 0, UINT64_MAX, 4096, 0 }, -EINVAL },
		{ { 0, 0, 4096, UINT64_MAX }, -EINVAL },
		{ { 0, 0, BYTES + 1, 0 }, -ENXIO },
		{ { 0, 0, 4096, BYTES }, -ENXIO },
		{ { GUEST, 0, 4096, 0 }, -EEXIST },
		{ { GUEST - 1, 0, 4096, 0 }, -EEXIST },
		{ { 0, USER + BYTES - 1, 4096, 0 }, -EEXIST },
	};
	int fd = memfd_create("ram", 0);
	size_t i;

	(void)state;
	assert_int_equal(ftruncate(fd, BYTES), 0);
	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
		assert_int_equal(vmc_guest_memory_add(&memory, &lies[i].place,
						      fd), lies[i].error);
	assert_int_equal(vmc_guest_memory_remove(&memory, &lies[0].place),
			 -ENOENT);
	close(fd);
	assert_int_equal(memory.nr_regions, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_empty_queue_has_nothing),
		TEST(a_chain_is_gathered_and_returned),
		TEST(a_guest_that_looks_is_not_interrupted),
		TEST(counters_wrap),
		TEST(lies_are_found),
		TEST(parts_must_lie_in_the_memory),
		TEST(regions_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
