// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest behind its hypervisor: the carrier that brings messages over the
 * three virtqueues. Owns the socket for the hypervisor and what is read from
 * the queues; the connection itself is vhost_user.c's. Called by broker.c, and
 * by vm.c through struct vmc_carrier.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "switch/guest.h"
#include "switch/unix_socket.h"
#include "switch/vhost_user_resume.h"

/* Entries of one queue that are handled before others get their turn. */
#define QUEUE_TURN	256

static const char *pop_error(int error)
{
	switch (error) {
	case -EOVERFLOW:
		return "more entries available than the queue has";
	case -ERANGE:
		return "descriptor index beyond the queue";
	case -EFAULT:
		return "descriptor outside the memory";
	case -ELOOP:
		return "descriptor chain too long";
	case -ENODATA:
		return "descriptor of no length";
	default:
		return "descriptor with wrong flags";
	}
}

/*
 * Take the next chain of a queue, of the wanted direction. When the queue is
 * empty the guest is asked to tell of new entries.
 */
static int next_chain(struct vmc_vm *vm, unsigned int i, bool is_writable,
		      struct vmc_chain *ret_chain)
{
	struct vmc_virtqueue *queue = &vm->connection.queues[i];
	int error;

	error = vmc_virtqueue_pop(queue, &vm->connection.memory, ret_chain);
	if (error == -EAGAIN) {
		vmc_virtqueue_set_notify(queue, true);
		error = vmc_virtqueue_pop(queue, &vm->connection.memory,
					  ret_chain);
		if (error == -EAGAIN)
			return error;
		vmc_virtqueue_set_notify(queue, false);
	}
	if (error) {
		vmc_vm_fault(vm, "queue %u: %s", i, pop_error(error));
		return error;
	}
	if (ret_chain->is_writable != is_writable) {
		vmc_vm_fault(vm, "queue %u: buffer of the wrong direction", i);
		return -EPROTO;
	}
	return 0;
}

static int read_request(struct vmc_vm *vm, const struct vmc_chain *chain)
{
	struct vmc_msg msg = { 0 };
	size_t bytes = vmc_chain_read(chain, &msg, sizeof(msg));

	return vmc_vm_take(vm, &msg, bytes);
}

static int read_doorbell(struct vmc_vm *vm, const struct vmc_chain *chain)
{
	struct vmc_doorbell doorbell;

	if (vmc_chain_read(chain, &doorbell, sizeof(doorbell)) !=
	    sizeof(doorbell)) {
		vmc_vm_fault(vm, "doorbell of %zu bytes", chain->bytes);
		return -EPROTO;
	}
	vm->stats.kicks_in++;
	vm->ops->doorbell(vm, le32toh(doorbell.link));
	return 0;
}

/* Handle what the guest put into the request or the doorbell queue. */
static void drain(struct vmc_vm *vm, unsigned int i,
		  int (*read)(struct vmc_vm *vm,
			      const struct vmc_chain *chain))
{
	struct vmc_virtqueue *queue = &vm->connection.queues[i];
	unsigned int turn = QUEUE_TURN;
	struct vmc_chain chain;

	vm->has_more[i] = false;
	if (!queue->desc || !vm->is_attached)
		return;
	vmc_virtqueue_set_notify(queue, false);
	while (!vm->is_doomed) {
		if (!turn-- || vmc_outbox_is_crowded(&vm->outbox)) {
			vm->has_more[i] = true;
			break;
		}
		if (next_chain(vm, i, false, &chain) || read(vm, &chain))
			break;
		vmc_virtqueue_push(queue, &chain, 0);
	}
	vmc_loop_defer(vm->loop, &vm->task);
}

static int give(struct vmc_vm *vm, const struct vmc_msg *msg, size_t bytes)
{
	struct vmc_virtqueue *queue = &vm->connection.queues[VMC_QUEUE_EVENT];
	struct vmc_chain chain;
	int error;

	error = next_chain(vm, VMC_QUEUE_EVENT, true, &chain);
	if (error)
		return error;
	if (chain.bytes < VMC_MSG_MAX_BYTES) {
		vmc_vm_fault(vm, "event buffer of %zu bytes", chain.bytes);
		return -EPROTO;
	}
	vmc_chain_write(&chain, msg, bytes);
	vmc_virtqueue_push(queue, &chain, (uint32_t)bytes);
	return 0;
}

static void flushed(struct vmc_vm *vm, bool is_all)
{
	struct vmc_virtqueue *queues = vm->connection.queues;
	unsigned int i;

	if (is_all)
		vmc_virtqueue_set_notify(&queues[VMC_QUEUE_EVENT], false);
	for (i = 0; i < VMC_NR_QUEUES; i++)
		vmc_virtqueue_signal(&queues[i]);
}

static void go_on(struct vmc_vm *vm)
{
	if (vm->connection.memory.is_torn) {
		vmc_vm_fault(vm, "the file of its memory was cut short");
		return;
	}
	if (vmc_outbox_is_crowded(&vm->outbox))
		return;
	if (vm->has_more[VMC_QUEUE_DOORBELL])
		drain(vm, VMC_QUEUE_DOORBELL, read_doorbell);
	if (vm->has_more[VMC_QUEUE_REQUEST])
		drain(vm, VMC_QUEUE_REQUEST, read_request);
}

static struct vmc_vm *vm_of(struct vmc_vhost_user *connection)
{
	return vmc_container_of(connection, struct vmc_vm, connection);
}

static void queues_changed(struct vmc_vhost_user *connection)
{
	struct vmc_vm *vm = vm_of(connection);
	bool is_usable = vmc_vhost_user_can_use(connection,
						VMC_QUEUE_REQUEST) &&
			 vmc_vhost_user_can_use(connection, VMC_QUEUE_EVENT);

	if (!is_usable) {
		vmc_vm_detach(vm);
		return;
	}
	vmc_vm_attach(vm);
	/* What was posted before this moment is kicked by nobody. */
	vm->has_more[VMC_QUEUE_REQUEST] = true;
	vm->has_more[VMC_QUEUE_DOORBELL] = true;
	vmc_loop_defer(vm->loop, &vm->task);
}

static void kicked(struct vmc_vhost_user *connection, unsigned int queue)
{
	struct vmc_vm *vm = vm_of(connection);

	if (vm->is_doomed)
		return;
	if (queue == VMC_QUEUE_DOORBELL)
		drain(vm, VMC_QUEUE_DOORBELL, read_doorbell);
	else if (queue == VMC_QUEUE_REQUEST)
		drain(vm, VMC_QUEUE_REQUEST, read_request);
	else
		vmc_loop_defer(vm->loop, &vm->task);
}

static void ended(struct vmc_vhost_user *connection, bool is_fault,
		  const char *why)
{
	struct vmc_vm *vm = vm_of(connection);

	if (is_fault) {
		vmc_vm_fault(vm, "%s", why);
		return;
	}
	if (vm->is_doomed)
		return;
	vmc_log(VMC_LOG_INFO, "vm \"%s\": %s", vm->config->name, why);
	vm->is_doomed = true;
	vmc_loop_defer(vm->loop, &vm->task);
}

static const struct vmc_vhost_user_ops connection_ops = {
	.queues_changed	= queues_changed,
	.kicked		= kicked,
	.ended		= ended,
};

static void listener_ready(struct vmc_watch *watch, uint32_t events)
{
	struct vmc_vm *vm = vmc_container_of(watch, struct vmc_vm, listener);
	int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	/* The end of the last one may be an event that is still to come. */
	if (vmc_vhost_user_is_open(&vm->connection) &&
	    (vm->is_doomed || vmc_vhost_user_is_hung_up(&vm->connection)))
		vmc_vm_disconnect(vm);
	if (vmc_vhost_user_is_open(&vm->connection)) {
		vmc_log_limited(&vm->log_limit, VMC_LOG_WARNING,
				"vm \"%s\": a second hypervisor is turned away",
				vm->config->name);
		close(fd);
		return;
	}
	if (vmc_vhost_user_open(&vm->connection, vm->config->name, fd))
		close(fd);
}

static void init(struct vmc_vm *vm)
{
	vm->listener.fd = -1;
	vm->listener.ready = listener_ready;
	vmc_vhost_user_init(&vm->connection, vm->loop, &connection_ops);
}

static void close_connection(struct vmc_vm *vm)
{
	vmc_vhost_user_close(&vm->connection);
	memset(vm->has_more, 0, sizeof(vm->has_more));
}

const struct vmc_carrier vmc_guest_carrier = {
	.init		= init,
	.give		= give,
	.flushed	= flushed,
	.go_on		= go_on,
	.close		= close_connection,
};

/**
 * vmc_guest_listen - make the socket for the hypervisor
 * @vm: a guest's
 * @config: rights of the socket
 *
 * Return: 0, or the error of the socket.
 */
int vmc_guest_listen(struct vmc_vm *vm, const struct vmc_config *config)
{
	int error;

	error = vmc_unix_socket_listen(vm->config->socket, SOCK_STREAM,
				       &config->vm_sockets, &vm->listener.fd);
	if (error)
		return error;
	error = vmc_loop_add(vm->loop, &vm->listener, EPOLLIN);
	if (error)
		vmc_guest_unlisten(vm);
	return error;
}

/**
 * vmc_guest_unlisten - remove the socket for the hypervisor
 * @vm: a guest's, listening or not
 */
void vmc_guest_unlisten(struct vmc_vm *vm)
{
	if (vm->listener.fd >= 0)
		unlink(vm->config->socket);
	vmc_loop_close(vm->loop, &vm->listener);
}

/**
 * vmc_guest_resume - take over the hypervisor that the last run served
 * @vm: a guest's
 *
 * Nothing happens if there was none. A hypervisor that cannot be taken over is
 * disconnected; its VM needs a restart to attach again.
 */
void vmc_guest_resume(struct vmc_vm *vm)
{
	int error = vmc_vhost_user_resume(&vm->connection, vm->config->name);

	if (error == -ENOENT)
		return;
	if (!error) {
		vmc_log(VMC_LOG_INFO, "vm \"%s\" is taken over",
			vm->config->name);
		return;
	}
	vmc_log(VMC_LOG_WARNING, "vm \"%s\" cannot be taken over from the last run: %s; restart the VM to attach it",
		vm->config->name, strerror(-error));
	vmc_vm_disconnect(vm);
}
