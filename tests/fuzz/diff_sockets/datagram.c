// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Operations of datagram sockets alone, on one side, and what is remembered of
 * a datagram: both sides must have got the same from the same. That is compared
 * with each other, and not with what was sent, as it may be cut.
 */
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include "datagram.h"

/* As in proto/limits.h. */
#define PROTOCOL_CIRCUIT	260

#define MAX_BYTES	65536
#define QUIET_MS	30
#define QUIET_LOOKS	2

/**
 * diff_datagram_digest - a number that other bytes would hardly have
 * @data: bytes
 * @bytes: how many
 */
int diff_datagram_digest(const unsigned char *data, size_t bytes)
{
	unsigned int digest = 1;
	size_t i;

	for (i = 0; i < bytes; i++)
		digest = digest * 31 + data[i];
	return (int)digest;
}

/**
 * diff_datagram_sender - who sent a datagram, as both sides should see it
 * @call: what received it
 * @name: of the sender
 * @bytes: of it
 *
 * Return: of address and port; chosen ports by their number, those that the
 * kernel gave out by the socket that has them.
 */
int diff_datagram_sender(const struct diff_call *call, const void *name,
			 socklen_t bytes)
{
	const struct diff_place *place = &call->world->places[call->side];
	const struct diff_slot *slot = call->world->slots;
	struct sockaddr_in6 copy = { 0 };
	unsigned int port, i;
	int number = -1;

	if (!bytes || bytes > sizeof(copy))
		return (int)bytes;
	memcpy(&copy, name, bytes);
	port = ntohs(copy.sin6_port);
	copy.sin6_port = 0;
	if (port >= place->first_port &&
	    port - place->first_port < DIFF_NR_PORTS)
		number = (int)port - place->first_port;
	else
		for (i = 0; i < DIFF_NR_SLOTS && number < 0; i++, slot++)
			if (slot->fd[call->side] >= 0 &&
			    diff_port_of(slot->fd[call->side], false) == port)
				number = (int)(DIFF_NR_PORTS + slot->socket);
	return diff_datagram_digest((void *)&copy, sizeof(copy)) + number;
}

static void call_socket(struct diff_call *call)
{
	const int *argument = call->operation.argument;
	bool is_circuit = call->world->has_circuits && call->side == DIFF_LEFT;
	int type = SOCK_DGRAM | (argument[2] ? SOCK_NONBLOCK : 0);

	call->result.fd = socket(argument[1] == 6 ? AF_INET6 : AF_INET, type,
				 is_circuit ? PROTOCOL_CIRCUIT : IPPROTO_UDP);
	diff_call_return(call, call->result.fd < 0 ? -1 : 0);
}

static void data_make(const struct diff_call *call, unsigned char *data)
{
	diff_bytes_make(call->connection, 0, call->number, data, MAX_BYTES);
}

static size_t bytes_of(const struct diff_call *call)
{
	size_t bytes = (size_t)call->operation.argument[1];

	return bytes > MAX_BYTES ? MAX_BYTES : bytes;
}

static void call_send_to(struct diff_call *call)
{
	const int *argument = call->operation.argument;
	unsigned char data[MAX_BYTES];
	struct sockaddr_in6 name;
	socklen_t bytes;

	bytes = diff_address_make(&name, diff_family_of(call->fd), argument[3],
		(uint16_t)diff_port_of(call->other_fd, false));
	data_make(call, data);
	diff_call_return(call, sendto(call->fd, data, bytes_of(call),
				      MSG_DONTWAIT, (void *)&name, bytes));
}

/* One call, and many datagrams of it, the last of them perhaps shorter. */
static void call_send_parts(struct diff_call *call)
{
	unsigned char data[MAX_BYTES];
	struct iovec part = { .iov_base = data, .iov_len = bytes_of(call) };
	uint16_t size = (uint16_t)call->operation.argument[2];
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(size))];
	} control = { 0 };
	struct msghdr msg = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	control.header.cmsg_level = IPPROTO_UDP;
	control.header.cmsg_type = UDP_SEGMENT;
	control.header.cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(&control.header), &size, sizeof(size));
	data_make(call, data);
	diff_call_return(call, sendmsg(call->fd, &msg, MSG_DONTWAIT));
}

/**
 * diff_datagram_drain - receive all that has come, in whatever order
 * @call: of a datagram socket
 *
 * Details are sums over the datagrams: how many, what, of whom; and errors.
 */
void diff_datagram_drain(struct diff_call *call)
{
	struct pollfd poller = { .fd = call->fd, .events = POLLIN };
	int *detail = call->result.detail, bytes;
	unsigned char data[MAX_BYTES];
	struct sockaddr_in6 name;
	unsigned int looks = 0;
	socklen_t name_bytes;

	do {
		name_bytes = sizeof(name);
		bytes = (int)recvfrom(call->fd, data, sizeof(data),
				      MSG_DONTWAIT, (void *)&name, &name_bytes);
		if (bytes < 0 && errno == EAGAIN) {
			poll(&poller, 1, QUIET_MS);
			looks++;
			continue;
		}
		detail[0]++;
		detail[1] += bytes < 0 ? errno :
			     diff_datagram_digest(data, (size_t)bytes);
		detail[2] += bytes < 0 ? 0 :
			     diff_datagram_sender(call, &name, name_bytes);
	} while (looks < QUIET_LOOKS);
	diff_call_return(call, 0);
}

/**
 * diff_call_datagram - the operations of this file
 * @call: of one of those kinds
 */
void diff_call_datagram(struct diff_call *call)
{
	switch ((int)call->operation.kind) {
	case DIFF_DATAGRAM:
		call_socket(call);
		break;
	case DIFF_SEND_TO:
		call_send_to(call);
		break;
	case DIFF_SEND_PARTS:
		call_send_parts(call);
		break;
	}
}
