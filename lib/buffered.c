// SPDX-License-Identifier: MIT
/*
 * A connection that is any stream socket: a buffer for each direction, filled
 * and emptied by recv() and send().
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/transport.h"

#define BUFFER_BYTES (256U << 10)

/* The bytes that wait lie from begin to end. */
struct buffer {
	uint8_t *bytes;
	size_t begin;
	size_t end;
};

struct buffered {
	struct vmc_connection connection;
	struct buffer tx;
	struct buffer rx;
	bool is_reserved;	/* somebody writes behind tx.end */
	int error;		/* the connection's, once and for all */
};

static struct buffered *buffered_of(const struct vmc_connection *connection)
{
	return (struct buffered *)connection;
}

static size_t buffer_fill(const struct buffer *buffer)
{
	return buffer->end - buffer->begin;
}

static void buffer_restart(struct buffer *buffer)
{
	buffer->begin = 0;
	buffer->end = 0;
}

static void buffered_free(struct buffered *buffered)
{
	free(buffered->tx.bytes);
	free(buffered->rx.bytes);
	free(buffered);
}

static int destroy(struct vmc_connection *connection)
{
	struct buffered *buffered = buffered_of(connection);

	if (buffer_fill(&buffered->rx) && !buffered->error)
		return -EBUSY;
	buffered_free(buffered);
	return 0;
}

static size_t unsent(const struct vmc_connection *connection)
{
	const struct buffered *buffered = buffered_of(connection);

	return buffered->error ? 0 : buffer_fill(&buffered->tx);
}

/* As much as the socket takes now. */
static int send_waiting(struct buffered *buffered)
{
	struct buffer *tx = &buffered->tx;
	ssize_t sent;

	while (!buffered->error && buffer_fill(tx)) {
		sent = send(buffered->connection.fd, tx->bytes + tx->begin,
			    buffer_fill(tx), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			break;
		if (sent < 0)
			buffered->error = errno;
		else
			tx->begin += (size_t)sent;
	}
	return -buffered->error;
}

static ssize_t reserve(struct vmc_connection *connection, size_t bytes,
		       void **ret_span)
{
	struct buffered *buffered = buffered_of(connection);
	struct buffer *tx = &buffered->tx;
	int error = send_waiting(buffered);
	size_t room;

	if (error)
		return error;
	if (!buffered->is_reserved && !buffer_fill(tx))
		buffer_restart(tx);
	room = BUFFER_BYTES - tx->end;
	if (!room)
		return -EAGAIN;
	buffered->is_reserved = true;
	*ret_span = tx->bytes + tx->end;
	return (ssize_t)(room < bytes ? room : bytes);
}

static int commit(struct vmc_connection *connection, size_t bytes)
{
	struct buffered *buffered = buffered_of(connection);

	buffered->tx.end += bytes;
	if (bytes)
		buffered->is_reserved = false;
	return send_waiting(buffered);
}

static ssize_t peek(struct vmc_connection *connection, size_t bytes,
		    const void **ret_span)
{
	struct buffered *buffered = buffered_of(connection);
	struct buffer *rx = &buffered->rx;
	ssize_t got;

	if (!buffer_fill(rx)) {
		if (buffered->error)
			return -buffered->error;
		buffer_restart(rx);
		do {
			got = recv(connection->fd, rx->bytes, BUFFER_BYTES,
				   MSG_DONTWAIT);
		} while (got < 0 && errno == EINTR);
		if (got < 0 && errno != EAGAIN)
			buffered->error = errno;
		if (got <= 0)
			return got < 0 ? -errno : 0;
		rx->end = (size_t)got;
	}
	*ret_span = rx->bytes + rx->begin;
	return (ssize_t)(buffer_fill(rx) < bytes ? buffer_fill(rx) : bytes);
}

static int release(struct vmc_connection *connection, size_t bytes)
{
	buffered_of(connection)->rx.begin += bytes;
	return 0;
}

/* Only the kernel knows. */
static bool probe(struct vmc_connection *connection, unsigned int what)
{
	const void *data;
	void *room;

	return ((what & VMC_WAIT_DATA) &&
		peek(connection, 1, &data) != -EAGAIN) ||
	       ((what & VMC_WAIT_SPACE) &&
		reserve(connection, 1, &room) != -EAGAIN);
}

static const struct vmc_transport buffered_transport = {
	.kind = VMC_KIND_SOCKET,
	.destroy = destroy,
	.reserve = reserve,
	.commit = commit,
	.peek = peek,
	.release = release,
	.probe = probe,
	.sleep = vmc_socket_sleep,
	.shutdown = vmc_socket_shutdown,
	.fd = vmc_socket_fd,
	.events = vmc_socket_events,
	.unsent = unsent,
};

/**
 * vmc_buffered_open - make the buffers for a socket
 * @fd: a stream socket
 * @ret_connection: its transport's destroy() ends it
 *
 * Return: 0, -ENOTCONN or -ENOMEM.
 */
int vmc_buffered_open(int fd, struct vmc_connection **ret_connection)
{
	struct sockaddr_storage name;
	socklen_t bytes = sizeof(name);
	struct buffered *buffered;

	if (getpeername(fd, (struct sockaddr *)&name, &bytes))
		return -errno;
	buffered = calloc(1, sizeof(*buffered));
	if (!buffered)
		return -ENOMEM;
	buffered->connection.transport = &buffered_transport;
	buffered->connection.fd = fd;
	buffered->tx.bytes = malloc(BUFFER_BYTES);
	buffered->rx.bytes = malloc(BUFFER_BYTES);
	if (!buffered->tx.bytes || !buffered->rx.bytes) {
		buffered_free(buffered);
		return -ENOMEM;
	}
	*ret_connection = &buffered->connection;
	return 0;
}
