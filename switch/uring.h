/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_URING_H
#define VMC_SWITCH_URING_H

#include <liburing.h>

#include "switch/buffers.h"
#include "switch/loop.h"

/* One operation of io_uring at a time. Embedded in its owner. */
struct vmc_uring_op {
	/*
	 * @result: of the operation, or -errno; @flags: IORING_CQE_F_. With
	 * IORING_CQE_F_MORE there will be another call. May start the next.
	 */
	void (*done)(struct vmc_uring_op *op, int result, unsigned int flags);
	unsigned int nr_due;	/* calls of done() that are still to come */
};

/* io_uring in the event loop. One thread. */
struct vmc_uring {
	struct vmc_loop *loop;
	struct io_uring ring;
	struct vmc_watch watch;
	struct vmc_buffers buffers;
	struct vmc_task task;	/* submit what was prepared */
	unsigned int nr_due;	/* completions that are still to come */
};

int vmc_uring_open(struct vmc_uring *uring, struct vmc_loop *loop);
void vmc_uring_close(struct vmc_uring *uring);
struct io_uring_sqe *vmc_uring_prepare(struct vmc_uring *uring,
				       struct vmc_uring_op *op);
void vmc_uring_cancel(struct vmc_uring *uring, int fd);

#endif /* VMC_SWITCH_URING_H */
