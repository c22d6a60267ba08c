// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Operations that move data, on one side. What is sent says where it belongs
 * in its stream, and what is received is checked against that.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "actor.h"
#include "datagram.h"

/* Of one call; a full buffer is made of many. */
#define MAX_BYTES	(4U << 20)
#define CHUNK_BYTES	65536
#define PIECES		3

/* How long a full buffer must stay full, and an empty one empty. */
#define QUIET_MS	60
#define QUIET_LOOKS	4
#define DRAIN_MS	8000

static size_t bytes_of(const struct diff_call *call)
{
	size_t bytes = (size_t)call->operation.argument[1];

	return bytes > MAX_BYTES ? MAX_BYTES : bytes;
}

static unsigned char *buffer_make(size_t bytes)
{
	unsigned char *data = malloc(bytes + 1);

	if (!data)
		abort();
	return data;
}

/* What a pipe or the file holds. */
static size_t chunk_of(const struct diff_call *call)
{
	size_t bytes = bytes_of(call);

	return bytes > CHUNK_BYTES ? CHUNK_BYTES : bytes;
}

static bool is_datagram(const struct diff_call *call)
{
	return call->connection && call->connection->is_datagram;
}

static uint64_t sent_before(const struct diff_call *call)
{
	if (is_datagram(call))
		return call->number;
	return call->connection ?
	       call->connection->sent[call->end][call->side] : 0;
}

static void pattern_fill(const struct diff_call *call, uint64_t offset,
			 unsigned char *data, size_t bytes)
{
	diff_bytes_make(call->connection, call->end, offset, data, bytes);
}

/*
 * Neighbours in a stream differ, so it is certain which urgent bytes have been
 * passed over.
 */
static void pattern_check(struct diff_call *call, uint64_t offset,
			  const unsigned char *data, long bytes)
{
	const struct diff_connection *connection = call->connection;
	long i;

	if (is_datagram(call)) {
		call->result.detail[2] = bytes <= 0 ? 0 :
			diff_datagram_digest(data, (size_t)bytes);
		return;
	}
	if (!connection || bytes <= 0)
		return;
	if (!connection->nr_urgent[!call->end]) {
		if (!diff_bytes_are(connection, !call->end, offset, data,
				    (size_t)bytes))
			call->result.is_wrong = true;
		return;
	}
	for (i = 0; i < bytes; i++, offset++) {
		for (; diff_is_urgent(connection, !call->end, offset) &&
		     data[i] != diff_byte(connection, !call->end, offset);
		     offset++)
			call->result.nr_passed++;
		if (data[i] != diff_byte(connection, !call->end, offset))
			call->result.is_wrong = true;
	}
}

/* Parts of different sizes, one of them empty if there is little. */
static void parts_make(struct iovec *parts, unsigned char *data, size_t bytes)
{
	size_t at = 0, size;
	unsigned int i;

	for (i = 0; i < PIECES; i++) {
		size = i == PIECES - 1 ? bytes - at : bytes / (i + 2);
		if (size > bytes - at)
			size = bytes - at;
		parts[i].iov_base = data + at;
		parts[i].iov_len = size;
		at += size;
	}
}

/* Two messages; the sum of what was taken, as for one. */
static long send_two(int fd, struct iovec *parts, int flags)
{
	struct mmsghdr messages[2] = {
		{ .msg_hdr = { .msg_iov = parts, .msg_iovlen = 1 } },
		{ .msg_hdr = { .msg_iov = parts + 1, .msg_iovlen = 2 } },
	};
	int n = sendmmsg(fd, messages, 2, flags);

	if (n < 0)
		return n;
	return (long)messages[0].msg_len + (n > 1 ? messages[1].msg_len : 0);
}

static long receive_two(int fd, struct iovec *parts, int flags)
{
	struct mmsghdr messages[2] = {
		{ .msg_hdr = { .msg_iov = parts, .msg_iovlen = 1 } },
		{ .msg_hdr = { .msg_iov = parts + 1, .msg_iovlen = 2 } },
	};
	int n = recvmmsg(fd, messages, parts[0].iov_len ? 1 : 2, flags, NULL);

	if (n < 0)
		return n;
	return (long)messages[0].msg_len + (n > 1 ? messages[1].msg_len : 0);
}

static void call_send(struct diff_call *call)
{
	int flags = call->operation.argument[2] | MSG_NOSIGNAL;
	struct sockaddr_storage name = { .ss_family = AF_INET };
	size_t bytes = bytes_of(call);
	unsigned char *data = buffer_make(bytes);
	struct iovec parts[PIECES];
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = PIECES };
	long n;

	pattern_fill(call, sent_before(call), data, bytes);
	parts_make(parts, data, bytes);
	switch (call->operation.argument[3]) {
	case 1:
		n = write(call->fd, data, bytes);
		break;
	case 2:
		n = writev(call->fd, parts, PIECES);
		break;
	case 3:
		n = sendmsg(call->fd, &msg, flags);
		break;
	case 4:
		n = sendto(call->fd, data, bytes, flags, (void *)&name,
			   sizeof(name));
		break;
	case 5:
		n = send_two(call->fd, parts, flags);
		break;
	default:
		n = send(call->fd, data, bytes, flags);
	}
	diff_call_return(call, n);
	free(data);
}

/* Two of them do not lie side by side: of what is between nothing is said. */
static void datagram_note(struct diff_call *call, const unsigned char *data,
			  long bytes, const struct sockaddr_storage *name)
{
	size_t room = bytes_of(call);

	if (bytes < 0)
		return;
	if (call->operation.argument[3] != 5)
		pattern_check(call, 0, data,
			      (size_t)bytes < room ? bytes : (long)room);
	call->result.detail[3] = diff_datagram_sender(call, name,
		(socklen_t)call->result.detail[1]);
}

static void call_receive(struct diff_call *call)
{
	uint64_t offset = call->connection ?
		call->connection->received[!call->end][call->side] : 0;
	int flags = call->operation.argument[2];
	size_t bytes = bytes_of(call);
	unsigned char *data = buffer_make(bytes);
	struct sockaddr_storage name = { 0 };
	socklen_t name_bytes = sizeof(name);
	struct iovec parts[PIECES];
	struct msghdr msg = {
		.msg_iov = parts, .msg_iovlen = PIECES, .msg_name = &name,
		.msg_namelen = sizeof(name),
	};
	long n;

	parts_make(parts, data, bytes);
	switch (call->operation.argument[3]) {
	case 1:
		n = read(call->fd, data, bytes);
		flags = 0;
		break;
	case 2:
		n = readv(call->fd, parts, PIECES);
		flags = 0;
		break;
	case 3:
		n = recvmsg(call->fd, &msg, flags);
		call->result.detail[0] = n < 0 ? 0 : msg.msg_flags;
		call->result.detail[1] = n < 0 ? 0 : (int)msg.msg_namelen;
		break;
	case 4:
		n = recvfrom(call->fd, data, bytes, flags, (void *)&name,
			     &name_bytes);
		call->result.detail[1] = n < 0 ? 0 : (int)name_bytes;
		break;
	case 5:
		n = receive_two(call->fd, parts, flags);
		break;
	default:
		n = recv(call->fd, data, bytes, flags);
	}
	diff_call_return(call, n);
	/* MSG_TRUNC drops what it counts, MSG_OOB is outside of the stream. */
	if (is_datagram(call))
		datagram_note(call, data, n, &name);
	else if (!(flags & (MSG_TRUNC | MSG_OOB | MSG_ERRQUEUE)))
		pattern_check(call, offset, data, n);
	else if (flags & MSG_OOB && n > 0)
		call->result.detail[2] = data[0];
	free(data);
}

/*
 * Each call has a pipe of its own: a splice() that waits for a socket holds its
 * pipe's lock.
 */
static void pipe_open(int *ret_ends)
{
	if (pipe2(ret_ends, O_CLOEXEC))
		abort();
}

static void pipe_close(const int *ends)
{
	close(ends[0]);
	close(ends[1]);
}

static void call_splice_in(struct diff_call *call)
{
	unsigned char data[CHUNK_BYTES];
	size_t bytes = chunk_of(call);
	int ends[2];

	pipe_open(ends);
	pattern_fill(call, sent_before(call), data, bytes);
	if (bytes && write(ends[1], data, bytes) != (long)bytes)
		abort();
	diff_call_return(call, splice(ends[0], NULL, call->fd, NULL, bytes,
				(unsigned int)call->operation.argument[2]));
	pipe_close(ends);
}

static void call_splice_out(struct diff_call *call)
{
	uint64_t offset = call->connection ?
		call->connection->received[!call->end][call->side] : 0;
	unsigned char data[CHUNK_BYTES];
	long n, at, part;
	int ends[2];

	pipe_open(ends);
	n = splice(call->fd, NULL, ends[1], NULL, chunk_of(call),
		   (unsigned int)call->operation.argument[2]);
	diff_call_return(call, n);
	for (at = 0; at < n; at += part) {
		part = read(ends[0], data + at, (size_t)(n - at));
		if (part <= 0)
			abort();
	}
	pattern_check(call, offset, data, n);
	pipe_close(ends);
}

static void call_sendfile(struct diff_call *call)
{
	struct diff_place *place = &call->world->places[call->side];
	unsigned char data[CHUNK_BYTES];
	size_t bytes = chunk_of(call);
	off_t at = place->file_bytes;

	/* The pages themselves travel: what was sent must not be written to. */
	pattern_fill(call, sent_before(call), data, bytes);
	if (pwrite(place->file, data, bytes, at) != (long)bytes)
		abort();
	place->file_bytes += (off_t)bytes;
	diff_call_return(call, sendfile(call->fd, place->file, &at, bytes));
}

/* A child sends, and ends with what it was told. */
static void call_fork_send(struct diff_call *call)
{
	int report[2], status;
	long told[2] = { -1, EPROTO };
	pid_t child;

	pipe_open(report);
	child = fork();
	if (!child) {
		call->operation.argument[2] = MSG_DONTWAIT;
		call->operation.argument[3] = 0;
		call_send(call);
		told[0] = call->result.value;
		told[1] = call->result.error;
		_exit(write(report[1], told, sizeof(told)) != sizeof(told));
	}
	close(report[1]);
	if (read(report[0], told, sizeof(told)) != sizeof(told))
		told[0] = -1;
	close(report[0]);
	waitpid(child, &status, 0);
	errno = (int)told[1];
	diff_call_return(call, told[0]);
}

/*
 * Send until it stays full: TCP's peer takes over what its buffer has room for
 * in its own time. The value is 0 then, or the error that ended it.
 */
static void call_fill(struct diff_call *call)
{
	struct pollfd poller = { .fd = call->fd, .events = POLLOUT };
	uint64_t offset = sent_before(call);
	unsigned char data[CHUNK_BYTES];
	unsigned int looks = 0;
	long n;

	while (looks < QUIET_LOOKS) {
		pattern_fill(call, offset, data, sizeof(data));
		n = send(call->fd, data, sizeof(data),
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		looks = n < 0 ? looks + 1 : 0;
		if (n < 0 && errno != EAGAIN)
			break;
		if (n > 0)
			offset += (uint64_t)n;
		else
			poll(&poller, 1, QUIET_MS);
		n = 0;
	}
	if (call->connection)
		call->connection->sent[call->end][call->side] = offset;
	diff_call_return(call, n);
}

/* Receive what was sent and more, if a sender waits for room. */
static void call_drain(struct diff_call *call)
{
	struct diff_connection *connection = call->connection;
	struct pollfd poller = { .fd = call->fd, .events = POLLIN };
	uint64_t *received = &connection->received[!call->end][call->side];
	unsigned char data[CHUNK_BYTES];
	long end = diff_milliseconds() + DRAIN_MS, n = 0;

	while (diff_milliseconds() < end) {
		if (diff_is_drained(connection, !call->end, call->side) &&
		    !poll(&poller, 1, connection->nr_sending[!call->end] ?
				      QUIET_MS : 0))
			break;
		n = recv(call->fd, data, sizeof(data), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN) {
			poll(&poller, 1, QUIET_MS);
			n = 0;
			continue;
		}
		if (n <= 0)
			break;
		call->result.nr_passed = 0;
		pattern_check(call, *received, data, n);
		*received += (uint64_t)(n + call->result.nr_passed);
		n = 0;
	}
	if (n >= 0 && !diff_is_drained(connection, !call->end, call->side))
		n = 1;	/* an end before all was there, or too slow */
	diff_call_return(call, n);
}

/**
 * diff_call_transfer - the operations of this file
 * @call: of one of those kinds
 */
void diff_call_transfer(struct diff_call *call)
{
	switch ((int)call->operation.kind) {
	case DIFF_SEND:
		call_send(call);
		break;
	case DIFF_RECV:
		call_receive(call);
		break;
	case DIFF_SPLICE_IN:
		call_splice_in(call);
		break;
	case DIFF_SPLICE_OUT:
		call_splice_out(call);
		break;
	case DIFF_SENDFILE:
		call_sendfile(call);
		break;
	case DIFF_FORK_SEND:
		call_fork_send(call);
		break;
	case DIFF_FILL:
		call_fill(call);
		break;
	case DIFF_DRAIN:
		if (is_datagram(call))
			diff_datagram_drain(call);
		else
			call_drain(call);
		break;
	}
}
