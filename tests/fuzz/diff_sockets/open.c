// SPDX-License-Identifier: GPL-2.0-or-later
/* Operations that make, join, name, share and end sockets, on one side. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "call.h"

/* Addresses, by their number in a sequence. */
enum address { ADDRESS_ANY, ADDRESS_LOOPBACK, ADDRESS_MAPPED, ADDRESS_FOREIGN };

/**
 * diff_address_make - a name to bind or connect to
 * @ret_name: overwritten
 * @family: of the socket
 * @address: its number in a sequence
 * @port: in it
 *
 * Return: the name's length.
 */
socklen_t diff_address_make(struct sockaddr_in6 *ret_name, int family,
			    int address, uint16_t port)
{
	static const char *const texts[] = { "::", "::1", "::ffff:127.0.0.1",
					     "2001:db8::1" };
	static const char *const texts4[] = { "0.0.0.0", "127.0.0.1",
					      "127.0.0.1", "192.0.2.1" };
	struct sockaddr_in *name4 = (void *)ret_name;

	memset(ret_name, 0, sizeof(*ret_name));
	if (family == AF_INET6) {
		ret_name->sin6_family = AF_INET6;
		ret_name->sin6_port = htons(port);
		inet_pton(AF_INET6, texts[address & 3], &ret_name->sin6_addr);
		return sizeof(*ret_name);
	}
	name4->sin_family = AF_INET;
	name4->sin_port = htons(port);
	inet_pton(AF_INET, texts4[address & 3], &name4->sin_addr);
	return sizeof(*name4);
}

/**
 * diff_address_is_foreign - whether no route leads there
 * @address: its number in a sequence
 */
bool diff_address_is_foreign(int address)
{
	return (address & 3) == ADDRESS_FOREIGN;
}

/**
 * diff_family_of - AF_INET or AF_INET6
 * @fd: of a socket
 */
int diff_family_of(int fd)
{
	int family = 0;
	socklen_t bytes = sizeof(family);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &bytes);
	return family;
}

static void call_socket(struct diff_call *call)
{
	const int *argument = call->operation.argument;
	int type = SOCK_STREAM | (argument[2] ? SOCK_NONBLOCK : 0);

	call->result.fd = socket(argument[1] == 6 ? AF_INET6 : AF_INET, type,
				 call->world->places[call->side].protocol);
	diff_call_return(call, call->result.fd < 0 ? -1 : 0);
}

static void call_bind(struct diff_call *call)
{
	const int *argument = call->operation.argument;
	struct diff_place *place = &call->world->places[call->side];
	struct sockaddr_in6 name;
	uint16_t port = argument[2] < 0 ? 0 :
		(uint16_t)(place->first_port + argument[2] % DIFF_NR_PORTS);
	socklen_t bytes = diff_address_make(&name, diff_family_of(call->fd),
					    argument[1], port);

	diff_call_return(call, bind(call->fd, (void *)&name, bytes));
}

static void call_connect(struct diff_call *call)
{
	const int *argument = call->operation.argument;
	struct diff_place *place = &call->world->places[call->side];
	struct sockaddr_in6 name;
	unsigned int port;
	socklen_t bytes;

	if (call->operation.kind == DIFF_CONNECT)
		port = diff_port_of(call->other_fd, false);
	else
		port = place->first_port + (unsigned int)argument[1] %
					   DIFF_NR_PORTS;
	bytes = diff_address_make(&name, diff_family_of(call->fd), argument[2],
				  (uint16_t)port);
	diff_call_return(call, connect(call->fd, (void *)&name, bytes));
}

static void call_disconnect(struct diff_call *call)
{
	struct sockaddr name = { .sa_family = AF_UNSPEC };

	diff_call_return(call, connect(call->fd, &name, sizeof(name)));
}

static void call_accept(struct diff_call *call)
{
	call->result.fd = accept4(call->fd, NULL, NULL,
		call->operation.argument[2] ? SOCK_NONBLOCK : 0);
	diff_call_return(call, call->result.fd < 0 ? -1 : 0);
}

/* A name as both sides should see it: ports of our own by their number. */
static void call_name(struct diff_call *call)
{
	struct diff_place *place = &call->world->places[call->side];
	struct sockaddr_in6 name = { 0 };
	socklen_t bytes = sizeof(name);
	int port, ret;
	unsigned int i;

	ret = call->operation.argument[1] ?
	      getpeername(call->fd, (struct sockaddr *)&name, &bytes) :
	      getsockname(call->fd, (struct sockaddr *)&name, &bytes);
	diff_call_return(call, ret);
	if (ret)
		return;
	port = ntohs(name.sin6_port);
	call->result.detail[0] = name.sin6_family;
	call->result.detail[1] = !port ? 0 : port >= place->first_port &&
		port < place->first_port + DIFF_NR_PORTS ?
		port - place->first_port + 1 : -1;
	call->result.detail[2] = (int)bytes;
	name.sin6_port = 0;
	for (i = 0; i < bytes; i++)
		call->result.detail[3] = call->result.detail[3] * 31 +
					 ((unsigned char *)&name)[i];
}

/* The descriptor travels through a unix socket. */
static void call_pass(struct diff_call *call)
{
	struct diff_place *place = &call->world->places[call->side];
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte = 0;
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &call->fd, sizeof(int));
	if (sendmsg(place->mail[0], &msg, 0) != 1 ||
	    recvmsg(place->mail[1], &msg, 0) != 1) {
		diff_call_return(call, -1);
		return;
	}
	memcpy(&call->result.fd, CMSG_DATA(&control.header), sizeof(int));
	diff_call_return(call, 0);
}

/**
 * diff_call_open - the operations of this file
 * @call: of one of those kinds
 */
void diff_call_open(struct diff_call *call)
{
	switch ((int)call->operation.kind) {
	case DIFF_SOCKET:
		call_socket(call);
		break;
	case DIFF_BIND:
		call_bind(call);
		break;
	case DIFF_LISTEN:
		diff_call_return(call, listen(call->fd,
					      call->operation.argument[1]));
		break;
	case DIFF_CONNECT:
	case DIFF_CONNECT_PORT:
		call_connect(call);
		break;
	case DIFF_DISCONNECT:
		call_disconnect(call);
		break;
	case DIFF_ACCEPT:
		call_accept(call);
		break;
	case DIFF_CLOSE:
		diff_call_return(call, close(call->fd));
		break;
	case DIFF_DUP:
		call->result.fd = fcntl(call->fd, F_DUPFD_CLOEXEC, 0);
		diff_call_return(call, call->result.fd < 0 ? -1 : 0);
		break;
	case DIFF_PASS:
		call_pass(call);
		break;
	case DIFF_SHUTDOWN:
		diff_call_return(call, shutdown(call->fd,
						call->operation.argument[1]));
		break;
	case DIFF_NAME:
		call_name(call);
		break;
	}
}
