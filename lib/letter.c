// SPDX-License-Identifier: MIT
/*
 * What a process and the switch send each other over the endpoint's socket: a
 * message a packet, with descriptors from the switch. Owns nothing.
 */
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/letter.h"

/**
 * vmc_letter_send - send a request
 * @fd: the socket
 * @type: VMC_MSG_, below 64
 * @body: as long as the type says, in wire order
 *
 * Any thread. Waits while the switch is busy.
 *
 * Return: 0 or -ENOTCONN.
 */
int vmc_letter_send(int fd, unsigned int type, const void *body)
{
	size_t bytes = offsetof(struct vmc_msg, raw) + vmc_msg_body_bytes(type);
	struct vmc_msg msg = {
		.type = htole16((uint16_t)type),
		.bytes = htole16((uint16_t)bytes),
	};

	memcpy(msg.raw, body, vmc_msg_body_bytes(type));
	while (send(fd, &msg, bytes, MSG_NOSIGNAL) < 0) {
		if (errno != EINTR)
			return -ENOTCONN;
	}
	return 0;
}

static void take_fds(struct msghdr *header, struct vmc_letter *letter)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(header);

	if (cmsg && cmsg->cmsg_level == SOL_SOCKET &&
	    cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(letter->fds, CMSG_DATA(cmsg),
		       cmsg->cmsg_len - CMSG_LEN(0));
}

/**
 * vmc_letter_read - take the next message, if there is one
 * @fd: the socket
 * @ret_letter: its descriptors are the caller's to take or close
 *
 * Return: 0, -EAGAIN when nothing is there, -EINTR, -ENOTCONN at the end.
 */
int vmc_letter_read(int fd, struct vmc_letter *ret_letter)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(VMC_LETTER_MAX_FDS * sizeof(int))];
	} control;
	struct iovec part = { &ret_letter->msg, sizeof(ret_letter->msg) };
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t bytes;

	memset(ret_letter, 0, sizeof(*ret_letter));
	memset(ret_letter->fds, -1, sizeof(ret_letter->fds));
	bytes = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
		return -errno;
	if (bytes > 0)
		take_fds(&header, ret_letter);
	if (bytes > 0 && (size_t)bytes == le16toh(ret_letter->msg.bytes))
		return 0;
	vmc_letter_close(ret_letter);
	return -ENOTCONN;
}

/**
 * vmc_letter_close - close the descriptors that nobody took
 * @letter: read; who took one has put -1 in its place
 */
void vmc_letter_close(struct vmc_letter *letter)
{
	unsigned int i;

	for (i = 0; i < VMC_LETTER_MAX_FDS; i++) {
		if (letter->fds[i] >= 0)
			close(letter->fds[i]);
		letter->fds[i] = -1;
	}
}
