// SPDX-License-Identifier: MIT
/*
 * The public calls on a connection: choose the kind of a socket's, wait, copy,
 * and pass everything else on to the transport.
 */
#include <errno.h>
#include <sys/socket.h>

#include "lib/deadline.h"
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
	error = vmc_guest_circuit_open(fd, ret_connection);
	if (error == -ENOTTY)
		error = vmc_buffered_open(fd, ret_connection);
	return error;
}

/**
 * vmc_detach - end the work on a connection
 * @connection: not used by the caller afterwards, unless this fails
 *
 * A socket stays open and connected; send() and recv() go on where the last
 * commit and release were. An endpoint's connection is closed: the peer reads
 * what was committed, then the end; or is reset, if something that came was
 * not released.
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
 * @connection: attached, dialled or accepted
 *
 * When vmc_peek() or vmc_reserve() said -EAGAIN, poll the descriptor for
 * vmc_events() and call again when it fires; it may fire for nothing.
 *
 * Return: the socket; for a connection of an endpoint, another descriptor,
 * which ends with the connection and is made by the first call, or the error
 * of making it.
 */
int vmc_fd(struct vmc_connection *connection)
{
	return connection->transport->fd(connection);
}

/**
 * vmc_events - what to poll vmc_fd() for
 * @connection: attached, dialled or accepted
 * @what: VMC_WAIT_ flags
 *
 * Return: POLLIN, POLLOUT or both.
 */
short vmc_events(const struct vmc_connection *connection, unsigned int what)
{
	return connection->transport->events(what);
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

/* The clock is looked at once for so many looks at the rings. */
#define LOOKS_PER_CLOCK	64

static void spin(struct vmc_connection *connection, unsigned int what,
		 int timeout_ms)
{
	uint64_t limit_us = connection->spin_us, end_us = 0;
	unsigned int i;

	if (timeout_ms >= 0 && (uint64_t)timeout_ms * 1000 < limit_us)
		limit_us = (uint64_t)timeout_ms * 1000;
	if (!limit_us)
		return;
	do {
		for (i = 0; i < LOOKS_PER_CLOCK; i++) {
			if (connection->transport->probe(connection, what))
				return;
		}
		if (!end_us)
			end_us = vmc_now_us() + limit_us;
	} while (vmc_now_us() < end_us);
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
	uint64_t end_us = vmc_deadline_us(timeout_ms);
	unsigned int ready;
	int error, left_ms;

	if (!what || (what & ~(VMC_WAIT_DATA | VMC_WAIT_SPACE)))
		return -EINVAL;
	spin(connection, what, timeout_ms);
	ready = what_is_ready(connection, what);
	while (!ready) {
		left_ms = vmc_deadline_left_ms(end_us, timeout_ms);
		error = connection->transport->sleep(connection, what, left_ms);
		if (error)
			return error;
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
	uint64_t end_us = vmc_deadline_us(timeout_ms);
	int error, left_ms;

	for (;;) {
		error = vmc_commit(connection, 0);
		if (error || !connection->transport->unsent(connection))
			return error;
		left_ms = vmc_deadline_left_ms(end_us, timeout_ms);
		if (!left_ms)
			return -ETIMEDOUT;
		error = connection->transport->sleep(connection, VMC_WAIT_SPACE,
						     left_ms);
		if (error)
			return error;
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
	return connection->transport->shutdown(connection);
}
