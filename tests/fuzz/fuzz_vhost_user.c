// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bytes that a hypervisor sends, as a stream of vhost-user messages. The
 * first byte of each message's flags above the version says how many
 * descriptors to send along.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "switch/vhost_user.h"

#define RAM_BYTES	0x10000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static bool is_over;

static void queues_changed(struct vmc_vhost_user *connection)
{
	(void)connection;
}

static void kicked(struct vmc_vhost_user *connection, unsigned int queue)
{
	struct vmc_chain chain;

	while (!vmc_virtqueue_pop(&connection->queues[queue],
				  &connection->memory, &chain))
		vmc_virtqueue_push(&connection->queues[queue], &chain, 0);
}

static void ended(struct vmc_vhost_user *connection, bool is_fault,
		  const char *why)
{
	(void)connection;
	(void)is_fault;
	(void)why;
	is_over = true;
}

static const struct vmc_vhost_user_ops ops = {
	.queues_changed	= queues_changed,
	.kicked		= kicked,
	.ended		= ended,
};

/* Memory for a region, a counter for a queue: whatever fits the request. */
static int make_fd(uint32_t request)
{
	int fd;

	if (request != VHOST_USER_ADD_MEM_REG &&
	    request != VHOST_USER_SET_MEM_TABLE)
		return eventfd(1, EFD_NONBLOCK);
	fd = memfd_create("ram", MFD_CLOEXEC);
	if (ftruncate(fd, RAM_BYTES))
		abort();
	return fd;
}

static size_t send_one(int to, const uint8_t *data, size_t bytes)
{
	struct vhost_user_header header;
	union {
		struct cmsghdr header;
		char raw[CMSG_SPACE(8 * sizeof(int))];
	} control = { 0 };
	struct iovec part = { (void *)data, bytes };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	int fds[8];
	unsigned int i, nr = 0;

	if (bytes >= sizeof(header)) {
		memcpy(&header, data, sizeof(header));
		nr = header.flags >> 8 & 7;
		if (header.bytes < bytes - sizeof(header))
			part.iov_len = sizeof(header) + header.bytes;
		for (i = 0; i < nr; i++)
			fds[i] = make_fd(header.request);
	}
	if (nr) {
		message.msg_control = control.raw;
		message.msg_controllen = CMSG_SPACE(nr * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(nr * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, nr * sizeof(int));
	}
	sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	for (i = 0; i < nr; i++)
		close(fds[i]);
	return part.iov_len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct vmc_vhost_user connection;
	struct vmc_loop *loop;
	char answers[4096];
	size_t done = 0;
	unsigned int i;
	int pair[2];

	if (vmc_loop_create(&loop) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair))
		abort();
	vmc_vhost_user_init(&connection, loop, &ops);
	if (vmc_vhost_user_open(&connection, "fuzzed", pair[0]))
		abort();
	is_over = false;
	while (done < bytes && !is_over) {
		done += send_one(pair[1], data + done, bytes - done);
		for (i = 0; i < 2 && !is_over; i++)
			connection.socket.ready(&connection.socket, EPOLLIN);
		for (i = 0; i < VMC_NR_QUEUES && !is_over; i++) {
			if (connection.kicks[i].watch.fd >= 0)
				connection.kicks[i].watch.ready(
					&connection.kicks[i].watch, EPOLLIN);
		}
		while (recv(pair[1], answers, sizeof(answers), 0) > 0)
			;
	}
	vmc_vhost_user_close(&connection);
	close(pair[1]);
	vmc_loop_destroy(loop);
	return 0;
}
