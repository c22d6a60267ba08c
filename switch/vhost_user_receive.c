// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Takes vhost-user messages off a socket, however they are cut up. Owns the
 * descriptors that came with a message until a handler takes them. Knows
 * nothing of what a message means. Called by vhost_user.c.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "switch/vhost_user_receive.h"

static int keep_fds(struct vmc_vhost_user_message *message,
		    struct msghdr *received)
{
	struct cmsghdr *control;
	int error = received->msg_flags & MSG_CTRUNC ? -E2BIG : 0;
	size_t i, nr;
	int fd;

	for (control = CMSG_FIRSTHDR(received); control;
	     control = CMSG_NXTHDR(received, control)) {
		if (control->cmsg_level != SOL_SOCKET ||
		    control->cmsg_type != SCM_RIGHTS)
			continue;
		nr = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < nr; i++) {
			memcpy(&fd, CMSG_DATA(control) + i * sizeof(int),
			       sizeof(int));
			if (message->nr_fds < VHOST_USER_MAX_FDS) {
				message->fds[message->nr_fds++] = fd;
				continue;
			}
			close(fd);
			error = -E2BIG;
		}
	}
	return error;
}

static int receive_part(int fd, struct vmc_vhost_user_message *message,
			void *to, size_t bytes)
{
	union {
		struct cmsghdr header;
		char raw[CMSG_SPACE(VHOST_USER_MAX_FDS * sizeof(int))];
	} control;
	struct iovec part = { to, bytes };
	struct msghdr received = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.raw,
		.msg_controllen = sizeof(control.raw),
	};
	ssize_t done;
	int error;

	done = recvmsg(fd, &received, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (done < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (!done)
		return -EPIPE;
	error = keep_fds(message, &received);
	if (error)
		return error;
	message->have_bytes += (size_t)done;
	return 0;
}

/**
 * vmc_vhost_user_receive - take what the socket has of a message
 * @fd: the socket
 * @message: as the last call left it
 *
 * Return: 0 when the message is whole; -EAGAIN when more must come; -EPIPE
 * when the other side closed; -EPROTO (unknown version), -EMSGSIZE (body too
 * long) or -E2BIG (too many descriptors) when it lied; or recvmsg()'s error.
 */
int vmc_vhost_user_receive(int fd, struct vmc_vhost_user_message *message)
{
	const size_t header_bytes = sizeof(message->header);
	size_t done;
	int error;

	if (message->have_bytes < header_bytes) {
		done = message->have_bytes;
		error = receive_part(fd, message,
				     (uint8_t *)&message->header + done,
				     header_bytes - done);
		if (error)
			return error;
		if (message->have_bytes < header_bytes)
			return -EAGAIN;
		if ((message->header.flags & VHOST_USER_VERSION_MASK) !=
		    VHOST_USER_VERSION)
			return -EPROTO;
		if (message->header.bytes > sizeof(message->body))
			return -EMSGSIZE;
	}
	done = message->have_bytes - header_bytes;
	if (done < message->header.bytes) {
		error = receive_part(fd, message,
				     (uint8_t *)&message->body + done,
				     message->header.bytes - done);
		if (error)
			return error;
		done = message->have_bytes - header_bytes;
	}
	return done < message->header.bytes ? -EAGAIN : 0;
}

/**
 * vmc_vhost_user_forget - make ready for the next message
 * @message: any; descriptors that nobody took are closed
 */
void vmc_vhost_user_forget(struct vmc_vhost_user_message *message)
{
	unsigned int i;

	for (i = 0; i < message->nr_fds; i++) {
		if (message->fds[i] >= 0)
			close(message->fds[i]);
	}
	memset(message, 0, sizeof(*message));
}

/**
 * vmc_vhost_user_take_fd - own a descriptor that came with the message
 * @message: a whole message
 * @i: which, below nr_fds
 *
 * Return: the descriptor, the caller's to close.
 */
int vmc_vhost_user_take_fd(struct vmc_vhost_user_message *message,
			   unsigned int i)
{
	int fd = message->fds[i];

	message->fds[i] = -1;
	return fd;
}
