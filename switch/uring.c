// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * io_uring in the event loop: operations are prepared while events are
 * handled and submitted together afterwards; completions are events. Owns the
 * ring. Called by the uplink.
 */
#include <errno.h>

#include "switch/uring.h"

/* Operations that one system call submits; more only cost another call. */
#define SUBMIT_ENTRIES		1024
/* Completions that wait to be read; the kernel keeps what is beyond. */
#define COMPLETE_ENTRIES	16384
/* Completions handled before other events get their turn. */
#define BATCH			256

/*
 * All that the ring will do. The filter of system calls does not see what goes
 * through here, so the ring has one of its own.
 */
static const uint8_t allowed_operations[] = {
	IORING_OP_ASYNC_CANCEL, IORING_OP_CONNECT, IORING_OP_POLL_ADD,
	IORING_OP_RECV, IORING_OP_RECVMSG, IORING_OP_SEND,
	IORING_OP_SENDMSG, IORING_OP_SEND_ZC,
};

#define NR_OPERATIONS	(sizeof(allowed_operations))

static void reap(struct vmc_uring *uring)
{
	struct io_uring_cqe *cqe;
	struct vmc_uring_op *op;
	unsigned int flags, i;
	int result;

	for (i = 0; i < BATCH && !io_uring_peek_cqe(&uring->ring, &cqe); i++) {
		op = io_uring_cqe_get_data(cqe);
		result = cqe->res;
		flags = cqe->flags;
		io_uring_cqe_seen(&uring->ring, cqe);
		/* Nobody waits for the outcome of a cancellation. */
		if (!op)
			continue;
		if (!(flags & IORING_CQE_F_MORE)) {
			op->nr_due--;
			uring->nr_due--;
		}
		op->done(op, result, flags);
	}
}

static void completions_ready(struct vmc_watch *watch, uint32_t events)
{
	(void)events;
	reap(vmc_container_of(watch, struct vmc_uring, watch));
}

/* Much completes while it is submitted, so look at once. */
static void submit(struct vmc_task *task)
{
	struct vmc_uring *uring =
		vmc_container_of(task, struct vmc_uring, task);

	io_uring_submit(&uring->ring);
	reap(uring);
	/* EAGAIN and EBUSY leave some behind. */
	if (io_uring_sq_ready(&uring->ring))
		vmc_loop_defer(uring->loop, task);
}

/* Only the operations above, and the call that vmc_uring_close() makes. */
static int restrict_ring(struct io_uring *ring)
{
	struct io_uring_restriction restrictions[NR_OPERATIONS + 2] = { 0 };
	size_t i;
	int error;

	for (i = 0; i < NR_OPERATIONS; i++) {
		restrictions[i].opcode = IORING_RESTRICTION_SQE_OP;
		restrictions[i].sqe_op = allowed_operations[i];
	}
	restrictions[i].opcode = IORING_RESTRICTION_REGISTER_OP;
	restrictions[i++].register_op = IORING_REGISTER_SYNC_CANCEL;
	restrictions[i].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	restrictions[i].sqe_flags = IOSQE_BUFFER_SELECT;
	/* liburing 2.3 declares functions for these and exports none. */
	error = io_uring_register((unsigned int)ring->ring_fd,
				  IORING_REGISTER_RESTRICTIONS, restrictions,
				  NR_OPERATIONS + 2);
	if (!error)
		error = io_uring_register((unsigned int)ring->ring_fd,
					  IORING_REGISTER_ENABLE_RINGS, NULL,
					  0);
	return error;
}

/**
 * vmc_uring_open - make a ring and watch it
 * @uring: filled in
 * @loop: outlives the ring
 *
 * Return: 0, or the error of io_uring_setup(), io_uring_register() or
 * epoll_ctl(): -ENOSYS or -EPERM where the system has or permits no io_uring.
 */
int vmc_uring_open(struct vmc_uring *uring, struct vmc_loop *loop)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
			 IORING_SETUP_R_DISABLED,
		.cq_entries = COMPLETE_ENTRIES,
	};
	int error;

	*uring = (struct vmc_uring){ .loop = loop };
	uring->task.run = submit;
	uring->watch.ready = completions_ready;
	error = io_uring_queue_init_params(SUBMIT_ENTRIES, &uring->ring,
					   &params);
	if (error)
		return error;
	uring->watch.fd = uring->ring.ring_fd;
	error = vmc_buffers_open(&uring->buffers, &uring->ring);
	if (!error)
		error = restrict_ring(&uring->ring);
	if (!error)
		error = vmc_loop_add(loop, &uring->watch, EPOLLIN);
	if (error) {
		io_uring_queue_exit(&uring->ring);
		vmc_buffers_close(&uring->buffers);
	}
	return error;
}

/**
 * vmc_uring_close - end the ring, and what is under way in it
 * @uring: open; no done() is called any more
 *
 * When it returns no operation touches anybody's memory.
 */
void vmc_uring_close(struct vmc_uring *uring)
{
	struct io_uring_sync_cancel_reg all = {
		.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
		.timeout = { -1, -1 },
	};

	vmc_loop_remove(uring->loop, &uring->watch);
	vmc_loop_cancel(uring->loop, &uring->task);
	io_uring_register_sync_cancel(&uring->ring, &all);
	io_uring_queue_exit(&uring->ring);
	vmc_buffers_close(&uring->buffers);
}

/**
 * vmc_uring_prepare - begin an operation
 * @uring: the ring
 * @op: done() is set
 *
 * Return: the entry to fill in with an io_uring_prep_ function now; it is
 * submitted once the events at hand are handled.
 */
struct io_uring_sqe *vmc_uring_prepare(struct vmc_uring *uring,
				       struct vmc_uring_op *op)
{
	struct io_uring_sqe *sqe;

	while (!(sqe = io_uring_get_sqe(&uring->ring)))
		io_uring_submit(&uring->ring);
	io_uring_sqe_set_data(sqe, op);
	if (op) {
		op->nr_due++;
		uring->nr_due++;
	}
	vmc_loop_defer(uring->loop, &uring->task);
	return sqe;
}

/**
 * vmc_uring_cancel - end all operations on a descriptor soon
 * @uring: the ring
 * @fd: open; each of its operations completes, with -ECANCELED if it had
 *	not done anything
 */
void vmc_uring_cancel(struct vmc_uring *uring, int fd)
{
	io_uring_prep_cancel_fd(vmc_uring_prepare(uring, NULL), fd,
				IORING_ASYNC_CANCEL_ALL);
}
