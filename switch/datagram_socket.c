// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Host sockets for datagrams. Each is that of one name of a guest, unconnected,
 * and shared by the flows of that name: so a program that talks to many needs
 * one descriptor here, and shows one port to all of them. Owns the sockets and
 * the table of them. What comes is given out by flow_receive.c, what goes is
 * sent by flow_send.c. Called by flow.c, the broker and the uplink.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "switch/address.h"
#include "switch/datagram_socket.h"
#include "switch/flow.h"
#include "switch/host_socket.h"
#include "switch/uplink.h"

/* Of one VM; its flows may be many more. */
#define MAX_SOCKETS		1024U
/*
 * How long a name keeps its host socket, and so its port, after its last flow
 * was idle: the least that RFC 4787 asks of address translators.
 */
#define LINGER_MS		120000

static struct vmc_datagram_socket_list *
bucket_of(struct vmc_uplink *uplink, const struct vmc_name *local)
{
	uint64_t hash = vmc_name_hash(local, local);

	return &uplink->datagrams.buckets[hash % VMC_DATAGRAM_BUCKETS];
}

static struct vmc_datagram_socket *find(struct vmc_uplink *uplink,
					const struct vmc_vm *vm,
					const struct vmc_name *local,
					bool is_routed)
{
	struct vmc_datagram_socket *socket;

	LIST_FOREACH(socket, bucket_of(uplink, local), entry) {
		if (socket->vm == vm && socket->is_routed == is_routed &&
		    !socket->published &&
		    !memcmp(&socket->local, local, sizeof(*local)))
			return socket;
	}
	return NULL;
}

static void end_task(struct vmc_task *task)
{
	struct vmc_datagram_socket *socket =
		vmc_container_of(task, struct vmc_datagram_socket, end_task);

	LIST_REMOVE(socket, entry);
	close(socket->fd);
	free(socket->refusals);
	free(socket);
}

static void end_if_idle(struct vmc_datagram_socket *socket)
{
	if (!socket->rx.nr_due && !socket->room.nr_due)
		vmc_loop_defer(socket->uplink->loop, &socket->end_task);
}

/* Nobody finds it any more; closed after its last operation. */
static void end(struct vmc_datagram_socket *socket)
{
	socket->is_ending = true;
	socket->vm->nr_datagram_sockets--;
	LIST_REMOVE(socket, entry);
	LIST_INSERT_HEAD(&socket->uplink->datagrams.ending, socket, entry);
	vmc_uring_cancel(&socket->uplink->uring, socket->fd);
	end_if_idle(socket);
}

static void receive(struct vmc_datagram_socket *socket)
{
	struct io_uring_sqe *sqe;

	sqe = vmc_uring_prepare(&socket->uplink->uring, &socket->rx);
	io_uring_prep_recvmsg_multishot(sqe, socket->fd,
					&vmc_flow_receive_form, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = VMC_BUFFERS_GROUP;
}

static void received(struct vmc_uring_op *op, int result, unsigned int flags)
{
	struct vmc_datagram_socket *socket =
		vmc_container_of(op, struct vmc_datagram_socket, rx);
	struct vmc_buffers *buffers = &socket->uplink->uring.buffers;
	unsigned int number = flags >> IORING_CQE_BUFFER_SHIFT;

	if (flags & IORING_CQE_F_BUFFER) {
		if (!socket->is_ending)
			vmc_flow_receive(socket,
					 vmc_buffers_at(buffers, number),
					 result);
		vmc_buffers_give(buffers, number);
	}
	if (flags & IORING_CQE_F_MORE)
		return;
	if (socket->is_ending) {
		end_if_idle(socket);
		return;
	}
	/* It ends when buffers lack, and when there is an error to tell. */
	if (result < 0 && result != -ENOBUFS)
		vmc_flow_hear_errors(socket);
	if (result == -EINVAL || result == -EOPNOTSUPP || result == -EBADF)
		vmc_log_limited(&socket->vm->log_limit, VMC_LOG_WARNING,
				"no datagrams are received for vm \"%s\": %s",
				socket->vm->config->name, strerror(-result));
	else
		receive(socket);
}

static void has_room(struct vmc_uring_op *op, int result, unsigned int flags)
{
	struct vmc_datagram_socket *socket =
		vmc_container_of(op, struct vmc_datagram_socket, room);
	struct vmc_flow *flow;

	(void)flags;
	if (socket->is_ending) {
		end_if_idle(socket);
		return;
	}
	/* As long as there are errors to hear it says that there is room. */
	if (result > 0 && result & POLLERR)
		vmc_flow_hear_errors(socket);
	while ((flow = TAILQ_FIRST(&socket->blocked)))
		vmc_flow_send_again(flow);
}

/* @bound: what the host's socket is bound to; NULL: what it likes. */
static int create(struct vmc_uplink *uplink, struct vmc_vm *vm,
		  const struct vmc_name *local, const struct vmc_name *bound,
		  struct vmc_datagram_socket **ret_socket)
{
	struct vmc_datagram_socket *socket;
	int fd;

	fd = vmc_host_socket_datagram(local->family, bound);
	if (fd < 0)
		return fd == -EMFILE || fd == -ENFILE ? -ENOBUFS : fd;
	socket = calloc(1, sizeof(*socket));
	if (!socket) {
		close(fd);
		return -ENOBUFS;
	}
	socket->uplink = uplink;
	socket->vm = vm;
	socket->local = *local;
	socket->fd = fd;
	socket->rx.done = received;
	socket->room.done = has_room;
	socket->end_task.run = end_task;
	TAILQ_INIT(&socket->blocked);
	LIST_INSERT_HEAD(bucket_of(uplink, local), socket, entry);
	vm->nr_datagram_sockets++;
	receive(socket);
	*ret_socket = socket;
	return 0;
}

/* Calls @act for all sockets; it may end the one that it gets. */
static void visit(struct vmc_uplink *uplink,
		  void (*act)(struct vmc_datagram_socket *socket,
			      void *argument),
		  void *argument)
{
	struct vmc_datagram_socket *socket, *next;
	unsigned int i;

	for (i = 0; i < VMC_DATAGRAM_BUCKETS; i++) {
		socket = LIST_FIRST(&uplink->datagrams.buckets[i]);
		for (; socket; socket = next) {
			next = LIST_NEXT(socket, entry);
			act(socket, argument);
		}
	}
}

/* Whom nobody needs for longest, of one VM. */
struct search {
	const struct vmc_vm *vm;
	struct vmc_datagram_socket *found;
};

static void note_if_older(struct vmc_datagram_socket *socket, void *argument)
{
	struct search *search = argument;

	if (socket->vm == search->vm && !socket->nr_flows &&
	    !socket->is_kept &&
	    (!search->found ||
	     socket->empty_since_ms < search->found->empty_since_ms))
		search->found = socket;
}

/* Make room for another; false if all are in use. */
static bool end_oldest(struct vmc_uplink *uplink, const struct vmc_vm *vm)
{
	struct search search = { .vm = vm };

	visit(uplink, note_if_older, &search);
	if (search.found)
		end(search.found);
	return search.found;
}

/**
 * vmc_datagram_socket_get - the host socket of a guest's name
 * @uplink: the uplink
 * @vm: whose name it is
 * @local: the name
 * @is_routed: whether it is to be bound to that name
 * @ret_socket: the socket, which may be new; it lasts while it has flows
 *
 * Return: 0; -ENOBUFS at a limit; or the error of socket() or bind().
 */
int vmc_datagram_socket_get(struct vmc_uplink *uplink, struct vmc_vm *vm,
			    const struct vmc_name *local, bool is_routed,
			    struct vmc_datagram_socket **ret_socket)
{
	int error;

	*ret_socket = find(uplink, vm, local, is_routed);
	if (*ret_socket)
		return 0;
	if (vm->nr_datagram_sockets >= MAX_SOCKETS && !end_oldest(uplink, vm)) {
		vm->stats.over_quota++;
		return -ENOBUFS;
	}
	error = create(uplink, vm, local, is_routed ? local : NULL,
		       ret_socket);
	if (!error)
		(*ret_socket)->is_routed = is_routed;
	return error;
}

/**
 * vmc_datagram_socket_publish - a socket at a name of the host
 * @uplink: the uplink
 * @vm: whom it leads to
 * @publish: the names; the socket lasts as long as the uplink
 *
 * Return: 0, or the error of socket() or bind().
 */
int vmc_datagram_socket_publish(struct vmc_uplink *uplink, struct vmc_vm *vm,
				const struct vmc_config_publish *publish)
{
	struct vmc_datagram_socket *socket;
	int error;

	error = create(uplink, vm, &publish->guest, &publish->host, &socket);
	if (error)
		return error;
	socket->published = publish->text;
	socket->is_kept = true;
	/* Who asked at one address wants the answer from there. */
	if (vmc_name_is_wildcard(&publish->host))
		vmc_host_socket_tell_addresses(socket->fd,
					       publish->host.family);
	return 0;
}

/**
 * vmc_datagram_socket_take - a flow begins
 * @socket: has it until vmc_datagram_socket_put()
 */
void vmc_datagram_socket_take(struct vmc_datagram_socket *socket)
{
	socket->nr_flows++;
}

/**
 * vmc_datagram_socket_put - a flow is over
 * @socket: freed soon if that was the last, and nothing is left to keep it for
 * @is_guest_gone: the guest's socket is closed, or its VM has left
 */
void vmc_datagram_socket_put(struct vmc_datagram_socket *socket,
			     bool is_guest_gone)
{
	socket->empty_since_ms = vmc_loop_now_ms();
	if (!--socket->nr_flows && is_guest_gone && !socket->is_kept &&
	    !socket->uplink->datagrams.is_closed)
		end(socket);
}

/**
 * vmc_datagram_socket_set_whole - what becomes of what is too large for a path
 * @socket: the socket
 * @is_whole: it is lost; else the host sends it in pieces
 */
void vmc_datagram_socket_set_whole(struct vmc_datagram_socket *socket,
				   bool is_whole)
{
	if (socket->is_whole == is_whole)
		return;
	socket->is_whole = is_whole;
	vmc_host_socket_set_whole(socket->fd, socket->local.family, is_whole);
}

/**
 * vmc_datagram_socket_await_room - go on with the blocked flows when it can be
 * @socket: took no more
 */
void vmc_datagram_socket_await_room(struct vmc_datagram_socket *socket)
{
	if (!socket->room.nr_due)
		io_uring_prep_poll_add(
			vmc_uring_prepare(&socket->uplink->uring,
					  &socket->room),
			socket->fd, POLLOUT);
}

static void end_if_of(struct vmc_datagram_socket *socket, void *vm)
{
	if (socket->vm == vm && !socket->nr_flows && !socket->is_kept)
		end(socket);
}

/**
 * vmc_datagram_socket_leave - a VM is gone
 * @uplink: the uplink
 * @vm: the VM; its flows end by themselves
 */
void vmc_datagram_socket_leave(struct vmc_uplink *uplink, struct vmc_vm *vm)
{
	visit(uplink, end_if_of, vm);
}

static void end_if_old(struct vmc_datagram_socket *socket, void *now_ms)
{
	if (!socket->nr_flows && !socket->is_kept &&
	    *(uint64_t *)now_ms - socket->empty_since_ms > LINGER_MS)
		end(socket);
}

static void forget(struct vmc_datagram_socket *socket, void *unused)
{
	(void)unused;
	if (!socket->published)
		socket->is_kept = false;
}

/**
 * vmc_datagram_socket_forget_kept - keep sockets for published ports only
 * @uplink: the uplink; others end in their time, unless they are to be kept
 *	once more
 */
void vmc_datagram_socket_forget_kept(struct vmc_uplink *uplink)
{
	visit(uplink, forget, NULL);
}

/**
 * vmc_datagram_socket_tick - close those that nobody has used for long
 * @uplink: the uplink
 */
void vmc_datagram_socket_tick(struct vmc_uplink *uplink)
{
	uint64_t now_ms = vmc_loop_now_ms();

	visit(uplink, end_if_old, &now_ms);
}

static void free_now(struct vmc_datagram_socket *socket, void *unused)
{
	(void)unused;
	vmc_loop_cancel(socket->uplink->loop, &socket->end_task);
	end_task(&socket->end_task);
}

/**
 * vmc_datagram_socket_close_all - the uplink ends
 * @uplink: its ring is closed and its flows are freed
 */
void vmc_datagram_socket_close_all(struct vmc_uplink *uplink)
{
	struct vmc_datagram_socket *socket;

	visit(uplink, free_now, NULL);
	while ((socket = LIST_FIRST(&uplink->datagrams.ending)))
		free_now(socket, NULL);
}
