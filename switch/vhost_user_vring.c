// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The vhost-user messages that set queues up. A queue is served while it has
 * a size, addresses, a kick descriptor, and is enabled; what must not change
 * meanwhile is refused. Called by vhost_user.c's table.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "switch/vhost_user_vring.h"

static void save_queue(struct vmc_vhost_user *connection, unsigned int i)
{
	const struct vmc_virtqueue *queue = &connection->queues[i];

	if (!connection->save.saved)
		return;
	connection->save.saved->queues[i] = (struct vmc_saved_queue){
		.nr_entries = queue->nr_entries,
		.has_place = queue->has_place,
		.is_enabled = queue->is_enabled,
		.place = queue->place,
	};
}

/**
 * vmc_vring_update - make a queue usable or not, as its parts say
 * @connection: the connection
 * @i: which queue, one of whose parts changed
 *
 * Return: 0, or -EPROTO when its addresses are not in the guest's memory.
 */
int vmc_vring_update(struct vmc_vhost_user *connection, unsigned int i)
{
	struct vmc_virtqueue *queue = &connection->queues[i];
	bool is_ready = queue->nr_entries && queue->has_place &&
			queue->is_enabled && connection->kicks[i].watch.fd >= 0;

	save_queue(connection, i);
	if (is_ready == !!queue->desc)
		return 0;
	if (!is_ready) {
		vmc_virtqueue_unmap(queue);
	} else {
		if (vmc_virtqueue_map(queue, &connection->memory))
			return vmc_vhost_user_refuse(connection,
						     "addresses of queue", i);
		/* After a restart of the switch the guest's copy is the truth.
		 */
		queue->used_prod = le16toh(queue->used->idx);
	}
	connection->ops->queues_changed(connection);
	return 0;
}

/**
 * vmc_vring_remap - find the queues again after the memory changed
 * @connection: the connection
 */
void vmc_vring_remap(struct vmc_vhost_user *connection)
{
	bool is_changed = false;
	unsigned int i;

	for (i = 0; i < VMC_NR_QUEUES; i++) {
		if (connection->queues[i].desc &&
		    vmc_virtqueue_map(&connection->queues[i],
				      &connection->memory))
			is_changed = true;
	}
	if (is_changed)
		connection->ops->queues_changed(connection);
}

/**
 * vmc_vring_stop - serve a queue no more
 * @connection: the connection
 * @i: which queue; its descriptors are closed
 */
void vmc_vring_stop(struct vmc_vhost_user *connection, unsigned int i)
{
	struct vmc_virtqueue *queue = &connection->queues[i];

	vmc_loop_close(connection->loop, &connection->kicks[i].watch);
	vmc_save_drop(&connection->save, "kick", i);
	vmc_save_drop(&connection->save, "call", i);
	if (queue->call_fd >= 0)
		close(queue->call_fd);
	queue->call_fd = -1;
	queue->has_place = false;
	vmc_vring_update(connection, i);
}

/* The queue that a message names, or NULL after a complaint. */
static struct vmc_virtqueue *find_queue(struct vmc_vhost_user *connection,
					uint32_t raw_index)
{
	if (raw_index < VMC_NR_QUEUES)
		return &connection->queues[raw_index];
	vmc_vhost_user_refuse(connection, "queue number", raw_index);
	return NULL;
}

/* As find_queue(), for what must not change under a running queue. */
static struct vmc_virtqueue *find_stopped(struct vmc_vhost_user *connection,
					  uint32_t raw_index)
{
	struct vmc_virtqueue *queue = find_queue(connection, raw_index);

	if (!queue || !queue->desc)
		return queue;
	vmc_vhost_user_refuse(connection, "change of running queue", raw_index);
	return NULL;
}

/**
 * vmc_vring_set_num - SET_VRING_NUM: the size of a queue
 * @connection: the connection
 * @message: unchecked, of the right length
 *
 * Return: 0, or -EPROTO when a value is wrong.
 */
int vmc_vring_set_num(struct vmc_vhost_user *connection,
		      struct vmc_vhost_user_message *message)
{
	uint32_t num = message->body.state.num;
	struct vmc_virtqueue *queue;

	queue = find_stopped(connection, message->body.state.index);
	if (!queue)
		return -EPROTO;
	if (!num || num > VMC_MAX_QUEUE_SIZE || (num & (num - 1)))
		return vmc_vhost_user_refuse(connection, "queue size", num);
	queue->nr_entries = num;
	return vmc_vring_update(connection, message->body.state.index);
}

/**
 * vmc_vring_set_addr - SET_VRING_ADDR: where its parts are
 * @connection: the connection
 * @message: unchecked, of the right length
 *
 * Return: 0, or -EPROTO when a value is wrong.
 */
int vmc_vring_set_addr(struct vmc_vhost_user *connection,
		       struct vmc_vhost_user_message *message)
{
	const struct vhost_user_vring_addr *addr = &message->body.addr;
	struct vmc_virtqueue *queue = find_stopped(connection, addr->index);

	if (!queue)
		return -EPROTO;
	queue->place.desc = addr->desc;
	queue->place.avail = addr->avail;
	queue->place.used = addr->used;
	queue->has_place = true;
	return vmc_vring_update(connection, addr->index);
}

/**
 * vmc_vring_set_base - SET_VRING_BASE: where to go on
 * @connection: the connection
 * @message: unchecked, of the right length
 *
 * Return: 0, or -EPROTO when a value is wrong.
 */
int vmc_vring_set_base(struct vmc_vhost_user *connection,
		       struct vmc_vhost_user_message *message)
{
	uint32_t base = message->body.state.num;
	struct vmc_virtqueue *queue;

	queue = find_stopped(connection, message->body.state.index);
	if (!queue)
		return -EPROTO;
	if (base > UINT16_MAX)
		return vmc_vhost_user_refuse(connection, "queue base", base);
	queue->avail_cons = (uint16_t)base;
	return 0;
}

/**
 * vmc_vring_get_base - GET_VRING_BASE: stop, and tell where
 * @connection: the connection
 * @message: unchecked, of the right length
 *
 * Return: 0, or -EPROTO when a value is wrong.
 */
int vmc_vring_get_base(struct vmc_vhost_user *connection,
		       struct vmc_vhost_user_message *message)
{
	struct vhost_user_vring_state state = message->body.state;
	struct vmc_virtqueue *queue = find_queue(connection, state.index);

	if (!queue)
		return -EPROTO;
	state.num = queue->avail_cons;
	vmc_vring_stop(connection, state.index);
	return vmc_vhost_user_reply(connection, message, &state, sizeof(state));
}

/*
 * The queue of a SET_VRING_KICK, CALL or ERR, and its descriptor or -1. A
 * message must carry a descriptor or say that it has none, not both.
 */
static struct vmc_virtqueue *
take_vring_fd(struct vmc_vhost_user *connection,
	      struct vmc_vhost_user_message *message, unsigned int *ret_index,
	      int *ret_fd)
{
	uint64_t value = message->body.u64;
	bool has_fd = !(value & VHOST_USER_VRING_NOFD);
	struct vmc_virtqueue *queue;

	if (message->nr_fds != has_fd ||
	    value & ~(uint64_t)(VHOST_USER_VRING_IDX_MASK |
				VHOST_USER_VRING_NOFD)) {
		vmc_vhost_user_refuse(connection, "queue descriptor message",
				      value);
		return NULL;
	}
	*ret_index = value & VHOST_USER_VRING_IDX_MASK;
	queue = find_queue(connection, *ret_index);
	if (!queue)
		return NULL;
	*ret_fd = has_fd ? vmc_vhost_user_take_fd(message, 0) : -1;
	/* A full or empty eventfd must not stop the loop. */
	if (has_fd)
		fcntl(*ret_fd, F_SETFL, O_NONBLOCK);
	return queue;
}

/**
 * vmc_vring_set_kick - SET_VRING_KICK: how the guest tells of entries
 * @connection: the connection
 * @message: unchecked, of the right length
 *
 * Return: 0, or -EPROTO when a value is wrong.
 */
int vmc_vring_set_kick(struct vmc_vhost_user *connection,
		       struct vmc_vhost_user_message *message)
{
	struct vmc_watch *watch;
	unsigned int i;
	int error, fd;

	if (!take_vring_fd(connection, message, &i, &fd))
		return -EPROTO;
	if (fd < 0)
		return vmc_vhost_user_refuse(connection,
					     "no kick descriptor for queue", i);
	watch = &connection->kicks[i].watch;
	vmc_loop_close(connection->loop, watch);
	watch->fd = fd;
	error = vmc_loop_add(connection->loop, watch, EPOLLIN);
	if (error) {
		watch->fd = -1;
		close(fd);
		return vmc_vhost_user_refuse(connection,
					     "bad kick descriptor of queue", i);
	}
	vmc_save_put(&connection->save, "kick", i, fd);
	return vmc_vring_update(connection, i);
}

/**
 * vmc_vring_set_call - SET_VRING_CALL: how the guest is told
 * @connection: the connection
 * @message: unchecked, of the right length
 *
 * Return: 0, or -EPROTO when a value is wrong.
 */
int vmc_vring_set_call(struct vmc_vhost_user *connection,
		       struct vmc_vhost_user_message *message)
{
	struct vmc_virtqueue *queue;
	unsigned int i;
	int fd;

	queue = take_vring_fd(connection, message, &i, &fd);
	if (!queue)
		return -EPROTO;
	if (queue->call_fd >= 0)
		close(queue->call_fd);
	queue->call_fd = fd;
	if (fd >= 0)
		vmc_save_put(&connection->save, "call", i, fd);
	else
		vmc_save_drop(&connection->save, "call", i);
	/* The signals so far may have gone to a descriptor nobody reads. */
	queue->must_signal = queue->desc;
	vmc_virtqueue_signal(queue);
	return 0;
}

/**
 * vmc_vring_set_err - SET_VRING_ERR: not used
 * @connection: the connection
 * @message: unchecked, of the right length
 *
 * Return: 0, or -EPROTO when a value is wrong.
 */
int vmc_vring_set_err(struct vmc_vhost_user *connection,
		      struct vmc_vhost_user_message *message)
{
	unsigned int i;
	int fd;

	if (!take_vring_fd(connection, message, &i, &fd))
		return -EPROTO;
	if (fd >= 0)
		close(fd);
	return 0;
}

/**
 * vmc_vring_set_enable - SET_VRING_ENABLE: serve a queue, or not
 * @connection: the connection
 * @message: unchecked, of the right length
 *
 * Return: 0, or -EPROTO when a value is wrong.
 */
int vmc_vring_set_enable(struct vmc_vhost_user *connection,
			 struct vmc_vhost_user_message *message)
{
	struct vmc_virtqueue *queue;

	queue = find_queue(connection, message->body.state.index);
	if (!queue)
		return -EPROTO;
	if (message->body.state.num > 1)
		return vmc_vhost_user_refuse(connection, "queue enable",
					     message->body.state.num);
	queue->is_enabled = message->body.state.num;
	return vmc_vring_update(connection, message->body.state.index);
}
