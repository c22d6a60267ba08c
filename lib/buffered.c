// SPDX-License-Identifier: MIT
/*
 * A connection that is any stream socket: a buffer for each direction, filled
 * and emptied by recv() and send().
 */
#include <errno.h>
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
};

static struct buffered *buffered_of(const struct vmc_connection *connection)
{
	return (struct buffered *)connection;
}

static void buffer_take(struct buffer *buffer, size_t bytes)
{
	buffer->begin += bytes;
	if (buffer->begin == buffer->end)
		buffer->begin = buffer->end = 0;
}

static void destroy(struct vmc_connection *connection)
{
	struct buffered *buffered = buffered_of(connection);

	free(buffered->tx.bytes);
	free(buffered->rx.bytes);
	free(buffered);
}

static size_t unsent(const struct vmc_connection *connection)
{
	const struct buffered *buffered = buffered_of(connection);

	return buffered->tx.end - buffered->tx.begin;
}

/* As much as the socket takes now. */
static int send_waiting(struct buffered *buffered)
{
	struct buffer *tx = &buffered->tx;
	ssize_t sent;

	while (tx->begin < tx->end) {
		sent = send(buffered->connection.fd, tx->bytes + tx->begin,
			    tx->end - tx->begin, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN ? 0 : -errno;
		buffer_take(tx, (size_t)sent);
	}
	return 0;
}

static ssize_t reserve(struct vmc_connection *connection, size_t bytes,
		       void **ret_span)
{
	struct buffered *buffered = buffered_of(connection);
	struct buffer *tx = &buffered->tx;
	int error = send_waiting(buffered);
	size_t room = BUFFER_BYTES - tx->end;

	if (error)
		return error;
	if (!room)
		return -EAGAIN;
	*ret_span = tx->bytes + tx->end;
	return (ssize_t)(room < bytes ? room : bytes);
}

static int commit(struct vmc_connection *connection, size_t bytes)
{
	struct buffered *buffered = buffered_of(connection);

	buffered->tx.end += bytes;
	return send_waiting(buffered);
}

static ssize_t peek(struct vmc_connection *connection, size_t bytes,
		    const void **ret_span)
{
	struct buffer *rx = &buffered_of(connection)->rx;
	ssize_t got;

	if (rx->begin == rx->end) {
		do {
			got = recv(connection->fd, rx->bytes, BUFFER_BYTES,
				   MSG_DONTWAIT);
		} while (got < 0 && errno == EINTR);
		if (got <= 0)
			return got < 0 ? -errno : 0;
		rx->end = (size_t)got;
	}
	*ret_span = rx->bytes + rx->begin;
	return (ssize_t)(rx->end - rx->begin < bytes ? rx->end - rx->begin :
						       bytes);
}

static int release(struct vmc_connection *connection, size_t bytes)
{
	buffer_take(&buffered_of(connection)->rx, bytes);
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
		destroy(&buffered->connection);
		return -ENOMEM;
	}
	*ret_connection = &buffered->connection;
	return 0;
}
