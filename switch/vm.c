// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A VM as the switch sees it: the socket that its hypervisor connects to, and
 * the traffic on its three queues. Owns the sockets, the connection and the
 * events on their way. What a request means is the broker's business.
 *
 * Everything sent is put off to the VM's task, which runs when the events at
 * hand are handled: many messages, one interrupt. So is the end of a
 * connection, so that nothing vanishes under a caller.
 */
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "switch/vhost_user_resume.h"
#include "switch/vm.h"

/* Entries of one queue that are handled before others get their turn. */
#define QUEUE_TURN	256

/**
 * vmc_vm_fault - the guest or its hypervisor lied: end the connection
 * @vm: the VM
 * @format: what and which value, for the log
 *
 * The connection ends in the VM's task; until then the VM is doomed and what
 * comes from it is not looked at.
 */
void vmc_vm_fault(struct vmc_vm *vm, const char *format, ...)
{
	char text[256];
	va_list args;

	if (vm->is_doomed)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	vmc_log_limited(&vm->log_limit, VMC_LOG_WARNING,
			"vm \"%s\" is disconnected: %s", vm->config->name,
			text);
	vm->stats.lies++;
	vm->is_doomed = true;
	vmc_loop_defer(vm->loop, &vm->task);
}

/**
 * vmc_vm_send - send an event
 * @vm: the VM; nothing happens unless it is attached
 * @type: VMC_MSG_, from 64 on
 * @body: as long as the type says, in wire order
 */
void vmc_vm_send(struct vmc_vm *vm, unsigned int type, const void *body)
{
	if (!vm->is_attached || vm->is_doomed)
		return;
	if (vmc_outbox_put(&vm->outbox, type, body)) {
		vmc_vm_fault(vm, "it left %u events unread",
			     VMC_OUTBOX_MESSAGES);
		return;
	}
	vmc_loop_defer(vm->loop, &vm->task);
}

/**
 * vmc_vm_kick - tell the guest to look at a link
 * @vm: the VM
 * @link: its number of the link; several kicks become one
 */
void vmc_vm_kick(struct vmc_vm *vm, uint32_t link)
{
	vm->kicks |= 1ULL << link;
	vmc_loop_defer(vm->loop, &vm->task);
}

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
	unsigned int type, body_bytes;
	size_t bytes;

	bytes = vmc_chain_read(chain, &msg, sizeof(msg));
	type = le16toh(msg.type);
	body_bytes = type < VMC_MSG_ATTACH ? vmc_msg_body_bytes(type) : 0;
	if (!body_bytes || msg.pad ||
	    le16toh(msg.bytes) != body_bytes + offsetof(struct vmc_msg, raw) ||
	    bytes < le16toh(msg.bytes)) {
		vmc_vm_fault(vm, "request of type %u with %u of %zu bytes",
			     type, le16toh(msg.bytes), bytes);
		return -EPROTO;
	}
	vm->stats.requests++;
	vm->ops->request(vm, &msg);
	return 0;
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

static int give(struct vmc_vm *vm, const void *msg, size_t bytes)
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

static int give_kick(struct vmc_vm *vm, uint32_t link)
{
	const size_t bytes = offsetof(struct vmc_msg, raw) +
			     sizeof(struct vmc_kick);
	const struct {
		__le16 type;
		__le16 bytes;
		__le32 pad;
		struct vmc_kick kick;
	} msg = {
		.type = htole16(VMC_MSG_KICK),
		.bytes = htole16((uint16_t)bytes),
		.kick.link = htole32(link),
	};

	return give(vm, &msg, bytes);
}

/**
 * vmc_vm_flush - give the guest what waits for it, as buffers permit
 * @vm: the VM
 */
void vmc_vm_flush(struct vmc_vm *vm)
{
	struct vmc_virtqueue *queues = vm->connection.queues;
	const struct vmc_msg *msg;
	unsigned int i;
	uint32_t link;

	if (!vm->is_attached)
		return;
	while (!vm->is_doomed && (msg = vmc_outbox_first(&vm->outbox))) {
		if (give(vm, msg, le16toh(msg->bytes)))
			break;
		vmc_outbox_drop_first(&vm->outbox);
		vm->stats.events++;
	}
	while (!vm->is_doomed && vm->kicks &&
	       !vmc_outbox_first(&vm->outbox)) {
		link = (uint32_t)__builtin_ctzll(vm->kicks);
		if (give_kick(vm, link))
			break;
		vm->kicks &= vm->kicks - 1;
		vm->stats.kicks_out++;
	}
	if (!vm->kicks && !vmc_outbox_first(&vm->outbox))
		vmc_virtqueue_set_notify(&queues[VMC_QUEUE_EVENT], false);
	for (i = 0; i < VMC_NR_QUEUES; i++)
		vmc_virtqueue_signal(&queues[i]);
}

static void detach(struct vmc_vm *vm)
{
	if (!vm->is_attached)
		return;
	vm->is_attached = false;
	vmc_outbox_clear(&vm->outbox);
	vm->kicks = 0;
	vm->ops->detached(vm);
	vmc_log(VMC_LOG_INFO, "vm \"%s\" is detached", vm->config->name);
}

static void disconnect(struct vmc_vm *vm)
{
	detach(vm);
	vmc_vhost_user_close(&vm->connection);
	vm->is_doomed = false;
	memset(vm->has_more, 0, sizeof(vm->has_more));
}

static void run_task(struct vmc_task *task)
{
	struct vmc_vm *vm = vmc_container_of(task, struct vmc_vm, task);

	if (!vm->is_doomed)
		vmc_vm_flush(vm);
	if (vm->connection.memory.is_torn)
		vmc_vm_fault(vm, "the file of its memory was cut short");
	if (!vm->is_doomed && !vmc_outbox_is_crowded(&vm->outbox)) {
		if (vm->has_more[VMC_QUEUE_DOORBELL])
			drain(vm, VMC_QUEUE_DOORBELL, read_doorbell);
		if (vm->has_more[VMC_QUEUE_REQUEST])
			drain(vm, VMC_QUEUE_REQUEST, read_request);
	}
	if (vm->is_doomed)
		disconnect(vm);
}

static struct vmc_vm *vm_of(struct vmc_vhost_user *connection)
{
	return vmc_container_of(connection, struct vmc_vm, connection);
}

static void queues_changed(struct vmc_vhost_user *connection)
{
	struct vmc_vm *vm = vm_of(connection);
	struct vmc_attach attach = {
		.version = htole32(VMC_PROTOCOL_VERSION),
		.epoch = htole64(vm->epoch),
	};
	bool is_usable = vmc_vhost_user_can_use(connection,
						VMC_QUEUE_REQUEST) &&
			 vmc_vhost_user_can_use(connection, VMC_QUEUE_EVENT);

	if (!is_usable) {
		detach(vm);
		return;
	}
	if (!vm->is_attached) {
		vm->is_attached = true;
		vm->stats.attachments++;
		vmc_log(VMC_LOG_INFO, "vm \"%s\" is attached",
			vm->config->name);
		vmc_vm_send(vm, VMC_MSG_ATTACH, &attach);
	}
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
		disconnect(vm);
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

/**
 * vmc_vm_init - make a VM that nobody can connect to yet
 * @vm: all zero
 * @config: what the file says of it; outlives the VM
 * @loop: watches its descriptors
 * @epoch: of this run of the switch
 * @ops: calls upwards
 * @owner: for @ops
 *
 * Return: 0, or -ENOMEM.
 */
int vmc_vm_init(struct vmc_vm *vm, const struct vmc_config_vm *config,
		struct vmc_loop *loop, uint64_t epoch,
		const struct vmc_vm_ops *ops, void *owner)
{
	vm->config = config;
	vm->ops = ops;
	vm->owner = owner;
	vm->loop = loop;
	vm->epoch = epoch;
	vm->listener.fd = -1;
	vm->listener.ready = listener_ready;
	vm->task.run = run_task;
	vm->page.fd = -1;
	vmc_vhost_user_init(&vm->connection, loop, &connection_ops);
	return vmc_outbox_init(&vm->outbox);
}

/**
 * vmc_vm_listen - make the socket for the hypervisor
 * @vm: the VM
 * @config: owner and mode of the socket
 *
 * A socket that a dead switch left behind is replaced.
 *
 * Return: 0, or the error of socket(), bind(), chown(), chmod() or listen().
 */
int vmc_vm_listen(struct vmc_vm *vm, const struct vmc_config *config)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error, fd;

	memcpy(address.sun_path, vm->config->socket,
	       strlen(vm->config->socket) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(vm->config->socket);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    chown(vm->config->socket, config->socket_owner,
		  config->socket_group) ||
	    chmod(vm->config->socket, config->socket_mode) || listen(fd, 4)) {
		error = -errno;
		goto close_fd;
	}
	vm->listener.fd = fd;
	error = vmc_loop_add(vm->loop, &vm->listener, EPOLLIN);
	if (error) {
		vm->listener.fd = -1;
		goto close_fd;
	}
	return 0;

close_fd:
	close(fd);
	return error;
}

/**
 * vmc_vm_resume - take over the hypervisor that the last run served
 * @vm: initialised
 *
 * Nothing happens if there was none. A hypervisor that cannot be taken over is
 * disconnected; its VM needs a restart to attach again.
 */
void vmc_vm_resume(struct vmc_vm *vm)
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
	disconnect(vm);
}

/**
 * vmc_vm_destroy - end a VM
 * @vm: initialised; its broker state is dropped through detached()
 */
void vmc_vm_destroy(struct vmc_vm *vm)
{
	disconnect(vm);
	if (vm->listener.fd >= 0)
		unlink(vm->config->socket);
	vmc_loop_close(vm->loop, &vm->listener);
	vmc_loop_cancel(vm->loop, &vm->task);
	vmc_outbox_free(&vm->outbox);
}
