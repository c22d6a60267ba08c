// SPDX-License-Identifier: MIT
/*
 * Send and receive as sockets do, with a copy, for who has its bytes elsewhere
 * already. Owns nothing.
 */
#include <errno.h>
#include <string.h>

#include "lib/transport.h"

/* The peer gets a long message in pieces, and copies while we do. */
#define PIECE_BYTES	(64U << 10)

/**
 * vmc_send - copy bytes to the peer
 * @connection: attached, dialled or accepted
 * @data: the bytes
 * @bytes: how many
 * @timeout_ms: for how long to wait for room, each time; as for vmc_wait()
 *
 * Return: how many were committed, fewer than @bytes only if there was no room
 * for @timeout_ms or the connection failed then; -EAGAIN, -EINTR or an error as
 * of vmc_reserve() if none were.
 */
ssize_t vmc_send(struct vmc_connection *connection, const void *data,
		 size_t bytes, int timeout_ms)
{
	const uint8_t *from = data;
	size_t done = 0;
	ssize_t room;
	void *span;
	int error;

	while (done < bytes) {
		room = vmc_reserve(connection, bytes - done < PIECE_BYTES ?
				   bytes - done : PIECE_BYTES, &span);
		if (room > 0) {
			memcpy(span, from + done, (size_t)room);
			done += (size_t)room;
			error = vmc_commit(connection, (size_t)room);
		} else if (room == -EAGAIN) {
			error = vmc_wait(connection, VMC_WAIT_SPACE,
					 timeout_ms);
			error = error ?: -EAGAIN;
		} else {
			error = (int)room;
		}
		if (error < 0)
			return done ? (ssize_t)done : error;
	}
	return (ssize_t)done;
}

/**
 * vmc_recv - copy bytes that came
 * @connection: attached, dialled or accepted
 * @room: for them
 * @bytes: how many at most, not 0
 * @timeout_ms: for how long to wait for the first; as for vmc_wait()
 *
 * Return: how many; 0 at the end of the stream; -EAGAIN after @timeout_ms,
 * -EINTR, or an error as of vmc_peek().
 */
ssize_t vmc_recv(struct vmc_connection *connection, void *room, size_t bytes,
		 int timeout_ms)
{
	size_t done = 0, piece;
	const void *span;
	ssize_t got;
	int error;

	while (done < bytes) {
		piece = bytes - done < PIECE_BYTES ? bytes - done : PIECE_BYTES;
		got = vmc_peek(connection, piece, &span);
		if (got > 0) {
			memcpy((uint8_t *)room + done, span, (size_t)got);
			error = vmc_release(connection, (size_t)got);
			if (error)
				return error;
			done += (size_t)got;
			continue;
		}
		if (done)
			break;
		if (got != -EAGAIN)
			return got;
		error = vmc_wait(connection, VMC_WAIT_DATA, timeout_ms);
		if (error <= 0)
			return error ?: -EAGAIN;
	}
	return (ssize_t)done;
}
