// SPDX-License-Identifier: GPL-2.0-or-later
/* Operations on options, ioctls and the like, on one side. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include "call.h"

enum shape { SHAPE_INT, SHAPE_LINGER, SHAPE_TIME };

/*
 * Options by their number in a sequence; new ones go to the end. What setting
 * does with values is left to both sides. tests/vm walks every option there is;
 * these are here for what they do to all other calls.
 */
static const struct {
	int level, name;
	enum shape shape;
} options[] = {
	{ SOL_SOCKET, SO_KEEPALIVE, SHAPE_INT },
	{ SOL_SOCKET, SO_REUSEADDR, SHAPE_INT },
	{ SOL_SOCKET, SO_LINGER, SHAPE_LINGER },
	{ SOL_SOCKET, SO_OOBINLINE, SHAPE_INT },
	{ SOL_SOCKET, SO_RCVLOWAT, SHAPE_INT },
	{ SOL_SOCKET, SO_RCVTIMEO, SHAPE_TIME },
	{ SOL_SOCKET, SO_SNDTIMEO, SHAPE_TIME },
	{ SOL_SOCKET, SO_ERROR, SHAPE_INT },
	{ SOL_SOCKET, SO_ACCEPTCONN, SHAPE_INT },
	{ SOL_SOCKET, SO_TYPE, SHAPE_INT },
	{ SOL_SOCKET, SO_DOMAIN, SHAPE_INT },
	{ SOL_SOCKET, SO_PROTOCOL, SHAPE_INT },
	{ SOL_SOCKET, SO_PRIORITY, SHAPE_INT },
	{ IPPROTO_TCP, TCP_NODELAY, SHAPE_INT },
	{ IPPROTO_TCP, TCP_CORK, SHAPE_INT },
	{ IPPROTO_TCP, TCP_KEEPIDLE, SHAPE_INT },
	{ IPPROTO_TCP, TCP_KEEPINTVL, SHAPE_INT },
	{ IPPROTO_TCP, TCP_KEEPCNT, SHAPE_INT },
	{ IPPROTO_TCP, TCP_LINGER2, SHAPE_INT },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT, SHAPE_INT },
	{ IPPROTO_TCP, TCP_SYNCNT, SHAPE_INT },
	{ IPPROTO_IP, IP_TOS, SHAPE_INT },
	{ IPPROTO_IP, IP_TTL, SHAPE_INT },
	{ IPPROTO_IPV6, IPV6_V6ONLY, SHAPE_INT },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, SHAPE_INT },
	{ IPPROTO_IPV6, IPV6_TCLASS, SHAPE_INT },
	{ SOL_SOCKET, SO_SNDBUF, SHAPE_INT },
	{ SOL_SOCKET, SO_RCVBUF, SHAPE_INT },
	{ SOL_SOCKET, SO_ZEROCOPY, SHAPE_INT },
	{ IPPROTO_TCP, TCP_REPAIR, SHAPE_INT },
	{ IPPROTO_TCP, TCP_QUICKACK, SHAPE_INT },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, SHAPE_INT },
	{ IPPROTO_UDP, UDP_CORK, SHAPE_INT },
	{ SOL_SOCKET, SO_BROADCAST, SHAPE_INT },
	{ SOL_SOCKET, SO_PEEK_OFF, SHAPE_INT },
	{ SOL_SOCKET, SO_RXQ_OVFL, SHAPE_INT },
	{ IPPROTO_IP, IP_RECVERR, SHAPE_INT },
	{ IPPROTO_IP, IP_RECVTTL, SHAPE_INT },
	{ IPPROTO_IPV6, IPV6_RECVERR, SHAPE_INT },
	{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT, SHAPE_INT },
};

#define NR_OPTIONS	((int)(sizeof(options) / sizeof(options[0])))

static bool is_of_sockets(int option, int name)
{
	return options[option % NR_OPTIONS].level == SOL_SOCKET &&
	       options[option % NR_OPTIONS].name == name;
}

/**
 * diff_option_is_refused - whether a circuit answers EOPNOTSUPP
 * @option: its number
 *
 * A documented limit: doc/socket-options.md.
 */
bool diff_option_is_refused(int option)
{
	return options[option % NR_OPTIONS].level == IPPROTO_TCP &&
	       options[option % NR_OPTIONS].name == TCP_REPAIR;
}

/**
 * diff_option_is_silent - whether what getsockopt() says is TCP's own business
 * @option: its number
 *
 * Buffers that TCP sizes by itself, and what its acknowledgements do.
 */
bool diff_option_is_silent(int option)
{
	const int name = options[option % NR_OPTIONS].name;

	return options[option % NR_OPTIONS].level == SOL_SOCKET ?
	       name == SO_SNDBUF || name == SO_RCVBUF :
	       options[option % NR_OPTIONS].level == IPPROTO_TCP &&
	       name == TCP_QUICKACK;
}

/**
 * diff_option_is_narrow - whether TCP gives up, or is full, too soon to compare
 * @option: its number
 * @value: to set
 */
bool diff_option_is_narrow(int option, int value)
{
	const int name = options[option % NR_OPTIONS].name;

	if (options[option % NR_OPTIONS].level == IPPROTO_TCP)
		return value > 0 && (name == TCP_NOTSENT_LOWAT ||
			(name == TCP_USER_TIMEOUT && value < 100000));
	return options[option % NR_OPTIONS].level == SOL_SOCKET &&
	       (name == SO_SNDBUF || name == SO_RCVBUF) &&
	       value >= 0 && value < 100000;
}

/**
 * diff_option_is_sharing - whether several sockets could have one port
 * @option: its number
 */
bool diff_option_is_sharing(int option)
{
	return is_of_sockets(option, SO_REUSEADDR);
}

/**
 * diff_option_is_low_water - whether it says how much wakes a receiver
 * @option: its number
 */
bool diff_option_is_low_water(int option)
{
	return is_of_sockets(option, SO_RCVLOWAT);
}

/**
 * diff_option_is_error - whether it tells why a connection ended
 * @option: its number
 */
bool diff_option_is_error(int option)
{
	return is_of_sockets(option, SO_ERROR);
}

static void call_set(struct diff_call *call)
{
	int option = call->operation.argument[1] % NR_OPTIONS;
	int value = call->operation.argument[2];
	struct linger linger = { .l_onoff = value >= 0,
				 .l_linger = value > 0 ? value : 0 };
	struct timeval time = { .tv_usec = value > 0 ? value * 1000 : 0 };
	const void *from = &value;
	socklen_t bytes = sizeof(value);

	if (options[option].shape == SHAPE_LINGER) {
		from = &linger;
		bytes = sizeof(linger);
	} else if (options[option].shape == SHAPE_TIME) {
		from = &time;
		bytes = sizeof(time);
	}
	diff_call_return(call, setsockopt(call->fd, options[option].level,
					  options[option].name, from, bytes));
}

static void call_get(struct diff_call *call)
{
	int option = call->operation.argument[1] % NR_OPTIONS;
	socklen_t bytes = sizeof(call->result.detail);
	int value[4] = { 0 };

	diff_call_return(call, getsockopt(call->fd, options[option].level,
					  options[option].name, value,
					  &bytes));
	if (call->result.value)
		return;
	memcpy(call->result.detail, value, sizeof(value));
	call->result.value = (long)bytes;
}

static void call_ioctl(struct diff_call *call)
{
	static const unsigned long requests[] = { FIONREAD, SIOCATMARK,
						  SIOCOUTQ, SIOCOUTQNSD };
	int value = 0;

	diff_call_return(call, ioctl(call->fd, requests[
			 call->operation.argument[1] & 3], &value));
	call->result.detail[0] = value;
}

static void call_nonblock(struct diff_call *call)
{
	int on = call->operation.argument[1];

	diff_call_return(call, ioctl(call->fd, FIONBIO, &on));
}

/**
 * diff_call_option - the operations of this file
 * @call: of one of those kinds
 */
void diff_call_option(struct diff_call *call)
{
	switch ((int)call->operation.kind) {
	case DIFF_SET:
		call_set(call);
		break;
	case DIFF_GET:
		call_get(call);
		break;
	case DIFF_IOCTL:
		call_ioctl(call);
		break;
	case DIFF_NONBLOCK:
		call_nonblock(call);
		break;
	}
}
