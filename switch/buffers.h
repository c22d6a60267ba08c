/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_BUFFERS_H
#define VMC_SWITCH_BUFFERS_H

#include <liburing.h>
#include <stdint.h>

/* The number of the buffers in the ring. */
#define VMC_BUFFERS_GROUP	1

/* Buffers that the kernel fills before anybody knows whose data it is. */
struct vmc_buffers {
	struct io_uring_buf_ring *ring;
	uint8_t *memory;
};

int vmc_buffers_open(struct vmc_buffers *buffers, struct io_uring *ring);
void vmc_buffers_close(struct vmc_buffers *buffers);
void *vmc_buffers_at(const struct vmc_buffers *buffers, unsigned int number);
void vmc_buffers_give(struct vmc_buffers *buffers, unsigned int number);

#endif /* VMC_SWITCH_BUFFERS_H */
