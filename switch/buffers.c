// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Buffers for io_uring: those of sockets whose datagrams may be for any of many
 * circuits, so that they cannot be received into a ring. All sockets share
 * them; a buffer is taken when something comes, and given back when it was
 * copied. Called by uring.c and who receives.
 */
#include <errno.h>
#include <sys/mman.h>

#include "switch/buffers.h"

/*
 * So many datagrams, or runs of them, in one turn of the loop. A power of two.
 */
#define NR_BUFFERS	256U
/* What UDP can carry, with GRO, too; and what io_uring puts before it. */
#define BUFFER_BYTES	(65536U + 512U)

static size_t ring_bytes(void)
{
	return NR_BUFFERS * sizeof(struct io_uring_buf);
}

static void *map(size_t bytes)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

/**
 * vmc_buffers_open - give a ring its buffers
 * @buffers: filled in
 * @ring: not restricted yet
 *
 * Return: 0, -ENOMEM, or the error of io_uring_register().
 */
int vmc_buffers_open(struct vmc_buffers *buffers, struct io_uring *ring)
{
	struct io_uring_buf_reg registration = {
		.ring_entries = NR_BUFFERS,
		.bgid = VMC_BUFFERS_GROUP,
	};
	unsigned int i;
	int error;

	buffers->ring = map(ring_bytes());
	buffers->memory = map((size_t)NR_BUFFERS * BUFFER_BYTES);
	if (!buffers->ring || !buffers->memory) {
		vmc_buffers_close(buffers);
		return -ENOMEM;
	}
	registration.ring_addr = (uintptr_t)buffers->ring;
	error = io_uring_register_buf_ring(ring, &registration, 0);
	if (error) {
		vmc_buffers_close(buffers);
		return error;
	}
	io_uring_buf_ring_init(buffers->ring);
	for (i = 0; i < NR_BUFFERS; i++)
		vmc_buffers_give(buffers, i);
	return 0;
}

/**
 * vmc_buffers_close - free the buffers
 * @buffers: of a ring that is closed, or was not opened
 */
void vmc_buffers_close(struct vmc_buffers *buffers)
{
	if (buffers->ring)
		munmap(buffers->ring, ring_bytes());
	if (buffers->memory)
		munmap(buffers->memory, (size_t)NR_BUFFERS * BUFFER_BYTES);
	*buffers = (struct vmc_buffers){ 0 };
}

/**
 * vmc_buffers_at - where a buffer is
 * @buffers: open
 * @number: from the completion
 *
 * Return: the buffer; nobody else uses it until vmc_buffers_give().
 */
void *vmc_buffers_at(const struct vmc_buffers *buffers, unsigned int number)
{
	return buffers->memory + (size_t)number * BUFFER_BYTES;
}

/**
 * vmc_buffers_give - let the kernel fill a buffer
 * @buffers: open
 * @number: its number
 */
void vmc_buffers_give(struct vmc_buffers *buffers, unsigned int number)
{
	io_uring_buf_ring_add(buffers->ring,
			      vmc_buffers_at(buffers, number), BUFFER_BYTES,
			      (unsigned short)number,
			      io_uring_buf_ring_mask(NR_BUFFERS), 0);
	io_uring_buf_ring_advance(buffers->ring, 1);
}
