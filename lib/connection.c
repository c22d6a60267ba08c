// SPDX-License-Identifier: MIT
/*
 * The public calls of libvmcircuit: choose the kind of a connection, wait, and
 * pass everything else on to mapped.c or buffered.c.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/transport.h"

/**
 * vmc_attach - work on a connected socket
 * @fd: a connected stream socket; stays the caller's, and open until
 *	vmc_detach(). Nobody may send or receive on it meanwhile; shutdown(),
 *	poll() and socket options are as always.
 * @ret_connection: ended with vmc_detach()
 *
 * Return: 0, or -EBADF, -ENOTSOCK, -EPROTOTYPE for a socket that is no stream,
 * -ENOTCONN, -EAGAIN while another thread is in a call on the socket, -ENOMEM.
 */
int vmc_attach(int fd, struct vmc_connection **ret_connection)
{
	socklen_t bytes = sizeof(int);
	int error, type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes))
		return -errno;
	if (type != SOCK_STREAM)
		return -EPROTOTYPE;
	error = vmc_mapped_open(fd, ret_connection);
	if (error == -ENOTTY)
		error = vmc_buffered_open(fd, ret_connection);
	return error;
}

/**
 * vmc_detach - end the work on a socket
 * @connection: not used by the caller afterwards, unless this fails
 *
 * The socket stays open and connected; send() and recv() go on where the last
 * commit and release were.
 *
 * Return: 0, or, for a socket that is no circuit, -EAGAIN when bytes that were
 * committed are still in the buffer (vmc_flush() first) and -EBUSY when bytes
 * that came are (vmc_release() them first). Not after an error of the
 * connection.
 */
int vmc_detach(struct vmc_connection *connection)
{
	if (connection->transport->unsent(connection))
		return -EAGAIN;
	return connection->transport->destroy(connection);
}

/**
 * vmc_kind - what the connection is
 * @connection: attached
 */
enum vmc_kind vmc_kind(const struct vmc_connection *connection)
{
	return connection->transport->kind;
}

/**
 * vmc_fd - a descriptor for poll loops
 * @connection: attached
 *
 * Ask for POLLIN when vmc_peek() said -EAGAIN, for POLLOUT when vmc_reserve()
 * did, and call them again when it fires.
 *
 * Return: the socket.
 */
int vmc_fd(const struct vmc_connection *connection)
{
	return connection->fd;
}

/**
 * vmc_set_spin - look for a while before vmc_wait() sleeps
 * @connection: attached
 * @limit_us: for how long at most, microseconds; 0, the default: not at all
 */
void vmc_set_spin(struct vmc_connection *connection, uint32_t limit_us)
{
	connection->spin_us = limit_us;
}

/**
 * vmc_reserve - room to write the next bytes in
 * @connection: attached
 * @bytes: how much at most, not 0
 * @ret_span: where; stays the same until vmc_commit()
 *
 * Return: how much there is, in one piece, at least 1; -EAGAIN when there is
 * none now; -EPIPE when nobody will read it; -ECONNRESET and other errors of
 * the connection.
 */
ssize_t vmc_reserve(struct vmc_connection *connection, size_t bytes,
		    void **ret_span)
{
	return connection->transport->reserve(connection, bytes, ret_span);
}

/**
 * vmc_commit - the peer may have the first bytes of the reserved room
 * @connection: attached
 * @bytes: at most what vmc_reserve() said
 *
 * Return: 0, or an error of the connection.
 */
int vmc_commit(struct vmc_connection *connection, size_t bytes)
{
	return connection->transport->commit(connection, bytes);
}

/**
 * vmc_peek - the next bytes that came
 * @connection: attached
 * @bytes: how much at most, not 0
 * @ret_span: where; stays the same until vmc_release(), but a hostile peer may
 *	change what stands there at any time
 *
 * Return: how much there is, in one piece; 0 at the end of the stream; -EAGAIN
 * when nothing is there now; -ECONNRESET and other errors of the connection.
 */
ssize_t vmc_peek(struct vmc_connection *connection, size_t bytes,
		 const void **ret_span)
{
	return connection->transport->peek(connection, bytes, ret_span);
}

/**
 * vmc_release - the peer may overwrite the first bytes of what was peeked at
 * @connection: attached
 * @bytes: at most what vmc_peek() said
 *
 * Return: 0, or an error of the connection.
 */
int vmc_release(struct vmc_connection *connection, size_t bytes)
{
	return connection->transport->release(connection, bytes);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* What of @what would not say -EAGAIN. */
static unsigned int what_is_ready(struct vmc_connection *connection,
				  unsigned int what)
{
	const void *data;
	unsigned int ready = 0;
	void *room;

	if ((what & VMC_WAIT_DATA) &&
	    vmc_peek(connection, 1, &data) != -EAGAIN)
		ready |= VMC_WAIT_DATA;
	if ((what & VMC_WAIT_SPACE) &&
	    vmc_reserve(connection, 1, &room) != -EAGAIN)
		ready |= VMC_WAIT_SPACE;
	return ready;
}

static unsigned int spin(struct vmc_connection *connection, unsigned int what,
			 int timeout_ms)
{
	uint64_t limit_us = connection->spin_us, end_us;

	if (timeout_ms >= 0 && (uint64_t)timeout_ms * 1000 < limit_us)
		limit_us = (uint64_t)timeout_ms * 1000;
	end_us = now_us() + limit_us;
	while (!connection->transport->probe(connection, what) &&
	       now_us() < end_us)
		;
	return what_is_ready(connection, what);
}

/* When @timeout_ms is over; any time if it never is. */
static uint64_t deadline_us(int timeout_ms)
{
	return now_us() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000;
}

/* Milliseconds until @end_us, rounded up; -1 for ever. */
static int remaining_ms(uint64_t end_us, int timeout_ms)
{
	uint64_t now = now_us();

	if (timeout_ms < 0)
		return -1;
	return now >= end_us ? 0 : (int)((end_us - now + 999) / 1000);
}

/**
 * vmc_wait - sleep until there is something to do
 * @connection: attached
 * @what: VMC_WAIT_ flags, not 0
 * @timeout_ms: for how long at most; 0: not at all, negative: for ever
 *
 * An end or an error is something to do as well: vmc_peek() and vmc_reserve()
 * tell.
 *
 * Return: the flags of @what that came true, 0 after the timeout, -EINTR when a
 * signal came, -EINVAL.
 */
int vmc_wait(struct vmc_connection *connection, unsigned int what,
	     int timeout_ms)
{
	uint64_t end_us = deadline_us(timeout_ms);
	struct pollfd poll_fd = { .fd = connection->fd };
	unsigned int ready;
	int left_ms;

	if (!what || (what & ~(VMC_WAIT_DATA | VMC_WAIT_SPACE)))
		return -EINVAL;
	if (what & VMC_WAIT_DATA)
		poll_fd.events |= POLLIN;
	if (what & VMC_WAIT_SPACE)
		poll_fd.events |= POLLOUT;
	ready = spin(connection, what, timeout_ms);
	while (!ready) {
		left_ms = remaining_ms(end_us, timeout_ms);
		if (poll(&poll_fd, 1, left_ms) < 0)
			return -errno;
		ready = what_is_ready(connection, what);
		if (!ready && !left_ms)
			return 0;
	}
	return (int)ready;
}

/**
 * vmc_flush - wait until the socket has all that was committed
 * @connection: attached; on a circuit there is never anything to wait for
 * @timeout_ms: as for vmc_wait()
 *
 * Return: 0, -ETIMEDOUT, -EINTR, or an error of the connection.
 */
int vmc_flush(struct vmc_connection *connection, int timeout_ms)
{
	uint64_t end_us = deadline_us(timeout_ms);
	struct pollfd poll_fd = { .fd = connection->fd, .events = POLLOUT };
	int error, nr;

	for (;;) {
		error = vmc_commit(connection, 0);
		if (error || !connection->transport->unsent(connection))
			return error;
		nr = poll(&poll_fd, 1, remaining_ms(end_us, timeout_ms));
		if (nr < 0)
			return -errno;
		if (!nr)
			return -ETIMEDOUT;
	}
}

/**
 * vmc_shutdown - send no more: the peer reads to the end of the stream
 * @connection: attached
 *
 * Return: 0, -EAGAIN when bytes that were committed are still in the buffer
 * (vmc_flush() first), or shutdown()'s error.
 */
int vmc_shutdown(struct vmc_connection *connection)
{
	if (connection->transport->unsent(connection))
		return -EAGAIN;
	return shutdown(connection->fd, SHUT_WR) ? -errno : 0;
}

/* Positive errno of the socket, or 0; forgets it. */
int vmc_socket_error(int fd)
{
	socklen_t bytes = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes))
		return errno;
	return error;
}
