// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A vhost-user connection: dispatches the hypervisor's messages and keeps the
 * device that they describe. Owns the socket, the guest's RAM, the queues
 * with their descriptors, and the window's channel. Knows nothing of what
 * travels on the queues. Called by vm.c.
 *
 * The hypervisor is not trusted: each message's length and count of
 * descriptors are checked by the table at the end, each value by its handler.
 * A message that fails ends the connection.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "switch/vhost_user_vring.h"

#define BIT(nr)	(1ULL << (nr))

#define OFFERED_FEATURES \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VHOST_USER_F_PROTOCOL_FEATURES))

/* Without these the switch can do nothing. */
#define NEEDED_PROTOCOL_FEATURES \
	(BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) | \
	 BIT(VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD) | \
	 BIT(VHOST_USER_PROTOCOL_F_SHMEM))

#define OFFERED_PROTOCOL_FEATURES \
	(NEEDED_PROTOCOL_FEATURES | \
	 BIT(VHOST_USER_PROTOCOL_F_MQ) | \
	 BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) | \
	 BIT(VHOST_USER_PROTOCOL_F_CONFIG) | \
	 BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))

/* RAM and, beside it, every stride of the window. */
#define MAX_MEM_SLOTS	(VMC_MAX_MEMORY_REGIONS + VMC_WINDOW_STRIDES)

typedef int (*handler_fn)(struct vmc_vhost_user *connection,
			  struct vmc_vhost_user_message *message);

/**
 * vmc_vhost_user_refuse - note what is wrong with a message
 * @connection: the connection
 * @what: for the log
 * @value: the value that is wrong
 *
 * Return: -EPROTO, for the handler to return.
 */
int vmc_vhost_user_refuse(struct vmc_vhost_user *connection, const char *what,
			  uint64_t value)
{
	snprintf(connection->why, sizeof(connection->why), "%s %llu", what,
		 (unsigned long long)value);
	return -EPROTO;
}

/**
 * vmc_vhost_user_reply - answer a message
 * @connection: the connection
 * @message: to what
 * @body: the answer's body
 * @bytes: its length
 *
 * Return: 0, or -EPROTO when the hypervisor does not take it.
 */
int vmc_vhost_user_reply(struct vmc_vhost_user *connection,
			 const struct vmc_vhost_user_message *message,
			 const void *body, size_t bytes)
{
	struct vhost_user_header header = {
		.request = message->header.request,
		.flags = VHOST_USER_VERSION | VHOST_USER_REPLY,
		.bytes = (uint32_t)bytes,
	};
	struct iovec parts[2] = {
		{&header, sizeof(header)},
		{(void *)body, bytes},
	};
	struct msghdr reply = {.msg_iov = parts, .msg_iovlen = 2};

	/* The hypervisor waits for this answer: there is room for it. */
	if (sendmsg(connection->socket.fd, &reply,
		    MSG_DONTWAIT | MSG_NOSIGNAL) !=
	    (ssize_t)(sizeof(header) + bytes))
		return vmc_vhost_user_refuse(connection,
					     "answer not taken, bytes", bytes);
	return 0;
}

static int send_u64(struct vmc_vhost_user *connection,
		    const struct vmc_vhost_user_message *message,
		    uint64_t value)
{
	return vmc_vhost_user_reply(connection, message, &value, sizeof(value));
}

static int get_features(struct vmc_vhost_user *connection,
			struct vmc_vhost_user_message *message)
{
	return send_u64(connection, message, OFFERED_FEATURES);
}

static int set_features(struct vmc_vhost_user *connection,
			struct vmc_vhost_user_message *message)
{
	if (message->body.u64 & ~OFFERED_FEATURES)
		return vmc_vhost_user_refuse(connection, "features",
					     message->body.u64);
	connection->features = message->body.u64;
	if (connection->save.saved)
		connection->save.saved->features = connection->features;
	return 0;
}

static int get_protocol_features(struct vmc_vhost_user *connection,
				 struct vmc_vhost_user_message *message)
{
	return send_u64(connection, message, OFFERED_PROTOCOL_FEATURES);
}

static int set_protocol_features(struct vmc_vhost_user *connection,
				 struct vmc_vhost_user_message *message)
{
	uint64_t features = message->body.u64;

	if (features & ~OFFERED_PROTOCOL_FEATURES)
		return vmc_vhost_user_refuse(connection, "protocol features",
					     features);
	if (~features & NEEDED_PROTOCOL_FEATURES)
		return vmc_vhost_user_refuse(
			connection,
			"the hypervisor lacks shared memory "
			"(QEMU 11.1 has it), protocol features",
			features);
	connection->protocol_features = features;
	if (connection->save.saved)
		connection->save.saved->protocol_features = features;
	return 0;
}

static int ignore(struct vmc_vhost_user *connection,
		  struct vmc_vhost_user_message *message)
{
	(void)connection;
	(void)message;
	return 0;
}

static int reset_device(struct vmc_vhost_user *connection,
			struct vmc_vhost_user_message *message)
{
	unsigned int i;

	(void)message;
	for (i = 0; i < VMC_NR_QUEUES; i++) {
		vmc_vring_stop(connection, i);
		connection->queues[i].is_enabled = false;
	}
	return 0;
}

static int add_region(struct vmc_vhost_user *connection,
		      const struct vhost_user_region *raw_region, int fd)
{
	struct vmc_memory_place place = {
		.guest = raw_region->guest,
		.user = raw_region->user,
		.bytes = raw_region->bytes,
		.fd_offset = raw_region->fd_offset,
	};
	int error;

	vmc_save_add_region(&connection->save, &place, fd);
	if (vmc_window_announce(&connection->window, place.guest, place.bytes,
				fd))
		return 0;
	error = vmc_guest_memory_add(&connection->memory, &place, fd);
	if (error) {
		snprintf(connection->why, sizeof(connection->why),
			 "memory region at %#llx of %#llx bytes: %s",
			 (unsigned long long)place.guest,
			 (unsigned long long)place.bytes, strerror(-error));
		return error;
	}
	return 0;
}

static int set_mem_table(struct vmc_vhost_user *connection,
			 struct vmc_vhost_user_message *message)
{
	const struct vhost_user_mem_table *table = &message->body.table;
	uint32_t i;
	int error;

	if (message->header.bytes <
		    offsetof(struct vhost_user_mem_table, regions) ||
	    table->nr_regions > VHOST_USER_MAX_TABLE_REGIONS ||
	    message->header.bytes !=
		    offsetof(struct vhost_user_mem_table, regions) +
			    table->nr_regions * sizeof(table->regions[0]))
		return vmc_vhost_user_refuse(connection,
					     "memory table of bytes",
					     message->header.bytes);
	if (message->nr_fds != table->nr_regions)
		return vmc_vhost_user_refuse(connection,
					     "memory table with descriptors",
					     message->nr_fds);
	vmc_save_clear_regions(&connection->save);
	vmc_guest_memory_clear(&connection->memory);
	vmc_window_withdraw_all(&connection->window);
	for (i = 0; i < table->nr_regions; i++) {
		error = add_region(connection, &table->regions[i],
				   message->fds[i]);
		if (error)
			return error;
	}
	vmc_vring_remap(connection);
	return 0;
}

static int add_mem_reg(struct vmc_vhost_user *connection,
		       struct vmc_vhost_user_message *message)
{
	return add_region(connection, &message->body.mem_reg.region,
			  message->fds[0]);
}

static int rem_mem_reg(struct vmc_vhost_user *connection,
		       struct vmc_vhost_user_message *message)
{
	const struct vhost_user_region *region = &message->body.mem_reg.region;
	struct vmc_memory_place place = {
		.guest = region->guest,
		.user = region->user,
		.bytes = region->bytes,
	};

	vmc_save_remove_region(&connection->save, &place);
	if (vmc_window_withdraw(&connection->window, place.guest, place.bytes))
		return 0;
	if (vmc_guest_memory_remove(&connection->memory, &place))
		return vmc_vhost_user_refuse(connection,
					     "removal of unknown region at",
					     place.guest);
	vmc_vring_remap(connection);
	return 0;
}

static int get_max_mem_slots(struct vmc_vhost_user *connection,
			     struct vmc_vhost_user_message *message)
{
	return send_u64(connection, message, MAX_MEM_SLOTS);
}

static int get_queue_num(struct vmc_vhost_user *connection,
			 struct vmc_vhost_user_message *message)
{
	return send_u64(connection, message, VMC_NR_QUEUES);
}

/* QEMU has a configuration space; nothing stands in it (see wire.h). */
static int get_config(struct vmc_vhost_user *connection,
		      struct vmc_vhost_user_message *message)
{
	struct vhost_user_config *config = &message->body.config;
	const size_t fixed_bytes = offsetof(struct vhost_user_config, raw);

	if (message->header.bytes < fixed_bytes ||
	    config->bytes > VHOST_USER_MAX_CONFIG_BYTES ||
	    config->offset > VHOST_USER_MAX_CONFIG_BYTES - config->bytes ||
	    message->header.bytes != fixed_bytes + config->bytes)
		return vmc_vhost_user_refuse(connection,
					     "configuration read of bytes",
					     message->header.bytes);
	memset(config->raw, 0, sizeof(config->raw));
	return vmc_vhost_user_reply(connection, message, config,
				    message->header.bytes);
}

static int set_backend_req_fd(struct vmc_vhost_user *connection,
			      struct vmc_vhost_user_message *message)
{
	int fd = vmc_vhost_user_take_fd(message, 0);
	int error = vmc_window_open(&connection->window, fd);

	if (!error) {
		vmc_save_put(&connection->save, "channel", 0, fd);
		if (connection->save.saved)
			connection->window.saved_asked =
				&connection->save.saved->is_asked;
		return 0;
	}
	close(fd);
	return vmc_vhost_user_refuse(connection, "back-end channel, errno",
				     (uint64_t)-error);
}

static int get_shmem_config(struct vmc_vhost_user *connection,
			    struct vmc_vhost_user_message *message)
{
	const struct vhost_user_shmem_config config = {
		.nr_regions = 1,
		.bytes[VMC_WINDOW_SHMID] = VMC_WINDOW_BYTES,
	};

	return vmc_vhost_user_reply(connection, message, &config,
				    sizeof(config));
}

#define ANY_BYTES	UINT32_MAX

/* What the switch understands; the length and the descriptors it takes. */
static const struct {
	const char *name;
	handler_fn handle;
	uint32_t body_bytes;
	uint8_t min_fds;
	uint8_t max_fds;
	bool has_answer;	/* of its own, so no acknowledgement */
} requests[] = {
#define REQUEST(name, handle, bytes, min_fds, max_fds, has_answer) \
	[VHOST_USER_##name] = { \
		#name, handle, bytes, min_fds, max_fds, has_answer }
	REQUEST(GET_FEATURES, get_features, 0, 0, 0, true),
	REQUEST(SET_FEATURES, set_features, 8, 0, 0, false),
	REQUEST(SET_OWNER, ignore, 0, 0, 0, false),
	REQUEST(RESET_OWNER, ignore, 0, 0, 0, false),
	REQUEST(SET_MEM_TABLE, set_mem_table, ANY_BYTES, 0,
		VHOST_USER_MAX_FDS, false),
	REQUEST(SET_VRING_NUM, vmc_vring_set_num, 8, 0, 0, false),
	REQUEST(SET_VRING_ADDR, vmc_vring_set_addr, 40, 0, 0, false),
	REQUEST(SET_VRING_BASE, vmc_vring_set_base, 8, 0, 0, false),
	REQUEST(GET_VRING_BASE, vmc_vring_get_base, 8, 0, 0, true),
	REQUEST(SET_VRING_KICK, vmc_vring_set_kick, 8, 0, 1, false),
	REQUEST(SET_VRING_CALL, vmc_vring_set_call, 8, 0, 1, false),
	REQUEST(SET_VRING_ERR, vmc_vring_set_err, 8, 0, 1, false),
	REQUEST(GET_PROTOCOL_FEATURES, get_protocol_features, 0, 0, 0, true),
	REQUEST(SET_PROTOCOL_FEATURES, set_protocol_features, 8, 0, 0, false),
	REQUEST(GET_QUEUE_NUM, get_queue_num, 0, 0, 0, true),
	REQUEST(SET_VRING_ENABLE, vmc_vring_set_enable, 8, 0, 0, false),
	REQUEST(SET_BACKEND_REQ_FD, set_backend_req_fd, 0, 1, 1, false),
	REQUEST(GET_CONFIG, get_config, ANY_BYTES, 0, 0, true),
	REQUEST(SET_CONFIG, ignore, ANY_BYTES, 0, 0, false),
	REQUEST(RESET_DEVICE, reset_device, 0, 0, 0, false),
	REQUEST(GET_MAX_MEM_SLOTS, get_max_mem_slots, 0, 0, 0, true),
	REQUEST(ADD_MEM_REG, add_mem_reg, 40, 1, 1, false),
	REQUEST(REM_MEM_REG, rem_mem_reg, 40, 0, 1, false),
	REQUEST(GET_SHMEM_CONFIG, get_shmem_config, 0, 0, 0, true),
#undef REQUEST
};

#define NR_REQUESTS	(sizeof(requests) / sizeof(requests[0]))

static int dispatch(struct vmc_vhost_user *connection,
		    struct vmc_vhost_user_message *message)
{
	uint32_t request = message->header.request;
	uint32_t bytes = message->header.bytes;
	int error;

	if (request >= NR_REQUESTS || !requests[request].handle)
		return vmc_vhost_user_refuse(connection, "unknown request", request);
	if (requests[request].body_bytes != ANY_BYTES &&
	    requests[request].body_bytes != bytes)
		return vmc_vhost_user_refuse(connection, "wrong length of request", request);
	if (message->nr_fds < requests[request].min_fds ||
	    message->nr_fds > requests[request].max_fds)
		return vmc_vhost_user_refuse(connection,
			      "wrong count of descriptors with request",
			      request);
	error = requests[request].handle(connection, message);
	if (error)
		return error;
	if (requests[request].has_answer ||
	    !(message->header.flags & VHOST_USER_NEED_REPLY) ||
	    !(connection->protocol_features &
	      BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK)))
		return 0;
	return send_u64(connection, message, 0);
}

static void socket_ready(struct vmc_watch *watch, uint32_t events)
{
	struct vmc_vhost_user *connection =
		vmc_container_of(watch, struct vmc_vhost_user, socket);
	struct vmc_vhost_user_message *message = &connection->message;
	int error;

	(void)events;
	error = vmc_vhost_user_receive(watch->fd, message);
	if (connection->save.saved)
		connection->save.saved->is_busy = message->have_bytes > 0;
	if (error == -EAGAIN)
		return;
	if (error == -EPIPE || error == -ECONNRESET) {
		connection->ops->ended(connection, false,
				       "the hypervisor closed its connection");
		return;
	}
	connection->why[0] = '\0';
	if (!error)
		error = dispatch(connection, message);
	if (connection->save.saved)
		connection->save.saved->is_busy = false;
	vmc_vhost_user_forget(message);
	if (!error)
		return;
	if (!connection->why[0])
		snprintf(connection->why, sizeof(connection->why),
			 "bad vhost-user message: %s", strerror(-error));
	connection->ops->ended(connection, true, connection->why);
}

static void kick_ready(struct vmc_watch *watch, uint32_t events)
{
	struct vmc_kick_watch *kick =
		vmc_container_of(watch, struct vmc_kick_watch, watch);
	uint64_t count;

	if (read(watch->fd, &count, sizeof(count)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			kick->connection->ops->ended(kick->connection, true,
						     "unreadable kick");
		return;
	}
	if (events & (EPOLLHUP | EPOLLERR)) {
		kick->connection->ops->ended(kick->connection, true,
					     "kick descriptor hung up");
		return;
	}
	if (kick->connection->queues[kick->queue].desc)
		kick->connection->ops->kicked(kick->connection, kick->queue);
}

static void window_broken(struct vmc_window *window, bool is_fault,
			  const char *why)
{
	struct vmc_vhost_user *connection =
		vmc_container_of(window, struct vmc_vhost_user, window);

	connection->ops->ended(connection, is_fault, why);
}

/**
 * vmc_vhost_user_init - make a connection that is not open
 * @connection: the connection
 * @loop: watches its descriptors
 * @ops: calls upwards
 */
void vmc_vhost_user_init(struct vmc_vhost_user *connection,
			 struct vmc_loop *loop,
			 const struct vmc_vhost_user_ops *ops)
{
	unsigned int i;

	memset(connection, 0, sizeof(*connection));
	connection->loop = loop;
	connection->ops = ops;
	connection->socket.fd = -1;
	connection->socket.ready = socket_ready;
	vmc_window_init(&connection->window, loop, window_broken);
	for (i = 0; i < VMC_NR_QUEUES; i++) {
		connection->queues[i].call_fd = -1;
		connection->kicks[i].watch.fd = -1;
		connection->kicks[i].watch.ready = kick_ready;
		connection->kicks[i].connection = connection;
		connection->kicks[i].queue = i;
	}
}

/**
 * vmc_vhost_user_watch - hear a hypervisor's messages
 * @connection: not open
 * @fd: its socket; taken on success
 *
 * Return: 0, or epoll_ctl()'s error.
 */
int vmc_vhost_user_watch(struct vmc_vhost_user *connection, int fd)
{
	int error;

	connection->socket.fd = fd;
	error = vmc_loop_add(connection->loop, &connection->socket, EPOLLIN);
	if (error)
		connection->socket.fd = -1;
	return error;
}

/**
 * vmc_vhost_user_open - serve a hypervisor that has just connected
 * @connection: not open
 * @vm: the VM's name, outlives the connection
 * @fd: its socket; taken on success
 *
 * Return: 0, or epoll_ctl()'s error.
 */
int vmc_vhost_user_open(struct vmc_vhost_user *connection, const char *vm,
			int fd)
{
	int error = vmc_vhost_user_watch(connection, fd);

	if (error)
		return error;
	vmc_save_begin(&connection->save, vm);
	vmc_save_put(&connection->save, "socket", 0, fd);
	return 0;
}

/**
 * vmc_vhost_user_close - end the connection and forget the device
 * @connection: open or not; no call upwards is made
 */
void vmc_vhost_user_close(struct vmc_vhost_user *connection)
{
	struct vmc_virtqueue *queue;
	unsigned int i;

	vmc_loop_close(connection->loop, &connection->socket);
	vmc_save_end(&connection->save);
	vmc_vhost_user_forget(&connection->message);
	vmc_window_close(&connection->window);
	for (i = 0; i < VMC_NR_QUEUES; i++) {
		queue = &connection->queues[i];
		vmc_loop_close(connection->loop, &connection->kicks[i].watch);
		if (queue->call_fd >= 0)
			close(queue->call_fd);
		*queue = (struct vmc_virtqueue){ .call_fd = -1 };
	}
	vmc_guest_memory_clear(&connection->memory);
	connection->features = 0;
	connection->protocol_features = 0;
}

/**
 * vmc_vhost_user_is_open - whether a hypervisor is connected
 * @connection: any
 */
bool vmc_vhost_user_is_open(const struct vmc_vhost_user *connection)
{
	return connection->socket.fd >= 0;
}

/**
 * vmc_vhost_user_is_hung_up - whether the hypervisor closed already
 * @connection: open
 */
bool vmc_vhost_user_is_hung_up(const struct vmc_vhost_user *connection)
{
	struct pollfd look = { connection->socket.fd, 0, 0 };

	return poll(&look, 1, 0) == 1;
}

/**
 * vmc_vhost_user_can_use - whether a queue may be served
 * @connection: any
 * @queue: VMC_QUEUE_
 */
bool vmc_vhost_user_can_use(const struct vmc_vhost_user *connection,
			    unsigned int queue)
{
	return connection->queues[queue].desc;
}
