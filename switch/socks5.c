// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is said to a SOCKS5 proxy before a connection through it begins: CONNECT
 * (RFC 1928) to an IPv4 or IPv6 address, without authentication or with user
 * name and password (RFC 1929). Owns nothing and does no I/O: the caller sends
 * what vmc_socks5_output() gives, and reads what vmc_socks5_wanted() asks for.
 * Called by outbound.c.
 *
 * The proxy is no more trusted than what lies behind it: its bytes are counted
 * before they are looked at, and the worst that they do is to fail a connect().
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "switch/socks5.h"

#define VERSION			5
#define LOGIN_VERSION		1	/* of RFC 1929 */

#define METHOD_NONE		0
#define METHOD_PASSWORD		2
#define METHOD_REFUSED		0xff

#define COMMAND_CONNECT		1

#define ADDRESS_INET		1
#define ADDRESS_DOMAIN		3
#define ADDRESS_INET6		4

#define MAX_TEXT_BYTES		255	/* its length is one byte */
#define PORT_BYTES		2

/* REPLY up to the address's first byte, which a domain name counts with. */
#define REPLY_HEAD_BYTES	5
#define MAX_REPLY_BYTES		(REPLY_HEAD_BYTES + MAX_TEXT_BYTES + PORT_BYTES)

_Static_assert(3 + 2 * MAX_TEXT_BYTES <= VMC_SOCKS5_MAX_BYTES,
	       "a login may be longer than VMC_SOCKS5_MAX_BYTES");
_Static_assert(MAX_REPLY_BYTES <= VMC_SOCKS5_MAX_BYTES,
	       "a reply may be longer than VMC_SOCKS5_MAX_BYTES");

/**
 * vmc_socks5_begin - a connection to the proxy is there
 * @socks5: overwritten
 * @proxy: outlives the handshake; its name is not looked at; user and password
 *	are 1 to 255 bytes, if it has them
 * @target: checked; where the proxy is to connect to
 */
void vmc_socks5_begin(struct vmc_socks5 *socks5, const struct vmc_proxy *proxy,
		      const struct vmc_name *target)
{
	memset(socks5, 0, sizeof(*socks5));
	socks5->state = VMC_SOCKS5_METHODS;
	socks5->proxy = proxy;
	socks5->target = *target;
}

static size_t write_methods(const struct vmc_socks5 *socks5, uint8_t *bytes)
{
	size_t nr = 0;

	bytes[nr++] = VERSION;
	bytes[nr++] = socks5->proxy->has_password ? 2 : 1;
	bytes[nr++] = METHOD_NONE;
	if (socks5->proxy->has_password)
		bytes[nr++] = METHOD_PASSWORD;
	return nr;
}

/* A text with its length before it. */
static size_t write_text(const char *text, uint8_t *bytes)
{
	size_t nr = strnlen(text, MAX_TEXT_BYTES);

	bytes[0] = (uint8_t)nr;
	memcpy(bytes + 1, text, nr);
	return 1 + nr;
}

static size_t write_login(const struct vmc_socks5 *socks5, uint8_t *bytes)
{
	size_t nr = 0;

	bytes[nr++] = LOGIN_VERSION;
	nr += write_text(socks5->proxy->user, bytes + nr);
	nr += write_text(socks5->proxy->password, bytes + nr);
	return nr;
}

static size_t write_request(const struct vmc_socks5 *socks5, uint8_t *bytes)
{
	const struct vmc_name *target = &socks5->target;
	bool is_inet = target->family == VMC_FAMILY_INET;
	size_t address_bytes = is_inet ? 4 : 16, nr = 0;
	uint16_t port = le16toh(target->port);

	bytes[nr++] = VERSION;
	bytes[nr++] = COMMAND_CONNECT;
	bytes[nr++] = 0;
	bytes[nr++] = is_inet ? ADDRESS_INET : ADDRESS_INET6;
	memcpy(bytes + nr, target->address, address_bytes);
	nr += address_bytes;
	bytes[nr++] = (uint8_t)(port >> 8);
	bytes[nr++] = (uint8_t)port;
	return nr;
}

/**
 * vmc_socks5_output - what to send next
 * @socks5: begun, and not failed
 * @ret_bytes: the message, to be sent as a whole before anything is read;
 *	may be the user's password
 *
 * Each message is given once.
 *
 * Return: its length in bytes, 0 when it is the proxy's turn, or all is done.
 */
size_t vmc_socks5_output(struct vmc_socks5 *socks5,
			 uint8_t ret_bytes[VMC_SOCKS5_MAX_BYTES])
{
	switch (socks5->state) {
	case VMC_SOCKS5_METHODS:
		socks5->state = VMC_SOCKS5_METHOD;
		return write_methods(socks5, ret_bytes);
	case VMC_SOCKS5_LOGIN:
		socks5->state = VMC_SOCKS5_LOGIN_REPLY;
		return write_login(socks5, ret_bytes);
	case VMC_SOCKS5_REQUEST:
		socks5->state = VMC_SOCKS5_REPLY;
		return write_request(socks5, ret_bytes);
	case VMC_SOCKS5_METHOD:
	case VMC_SOCKS5_LOGIN_REPLY:
	case VMC_SOCKS5_REPLY:
	case VMC_SOCKS5_DONE:
		break;
	}
	return 0;
}

/*
 * The length of REPLY as far as it is known, in bytes: the shortest one is
 * longer than its head, so no byte of what follows is asked for.
 */
static size_t reply_bytes(const struct vmc_socks5 *socks5)
{
	const uint8_t *reply = socks5->received;

	if (socks5->nr_received < REPLY_HEAD_BYTES)
		return REPLY_HEAD_BYTES;
	switch (reply[3]) {
	case ADDRESS_INET:
		return REPLY_HEAD_BYTES - 1 + 4 + PORT_BYTES;
	case ADDRESS_INET6:
		return REPLY_HEAD_BYTES - 1 + 16 + PORT_BYTES;
	default:		/* ADDRESS_DOMAIN, as judge() has seen to */
		return REPLY_HEAD_BYTES + reply[4] + PORT_BYTES;
	}
}

/* The length of the message that is being read, as far as it is known. */
static size_t message_bytes(const struct vmc_socks5 *socks5)
{
	switch (socks5->state) {
	case VMC_SOCKS5_METHOD:
	case VMC_SOCKS5_LOGIN_REPLY:
		return 2;
	case VMC_SOCKS5_REPLY:
		return reply_bytes(socks5);
	case VMC_SOCKS5_METHODS:
	case VMC_SOCKS5_LOGIN:
	case VMC_SOCKS5_REQUEST:
	case VMC_SOCKS5_DONE:
		break;
	}
	return 0;
}

/**
 * vmc_socks5_wanted - how much to read next
 * @socks5: begun; vmc_socks5_output() has nothing to send
 *
 * Return: bytes, all of them the handshake's; 0 when it is done, and what
 * comes now is the target's.
 */
size_t vmc_socks5_wanted(const struct vmc_socks5 *socks5)
{
	return message_bytes(socks5) - socks5->nr_received;
}

/*
 * What connect() would say if there were no proxy. A proxy's general failure
 * and codes that nobody has assigned tell only that the target was not
 * reached; ECONNREFUSED would be the target's word. For one that does not
 * know CONNECT it is the proxy's.
 */
static int reply_error(uint8_t raw_code)
{
	switch (raw_code) {
	case 0:			/* succeeded */
		return 0;
	case 2:			/* not allowed by the proxy's rules */
		return -EACCES;
	case 3:			/* network unreachable */
		return -ENETUNREACH;
	case 5:			/* connection refused */
		return -ECONNREFUSED;
	case 7:			/* command not supported */
		return -ECONNREFUSED;
	case 8:			/* address type not supported: no way there */
		return -ENETUNREACH;
	case 1:			/* general failure */
	case 4:			/* host unreachable */
	case 6:			/* TTL expired, as connect() has ICMP's */
	default:
		return -EHOSTUNREACH;
	}
}

static int choose_method(struct vmc_socks5 *socks5)
{
	uint8_t raw_method = socks5->received[1];

	if (raw_method == METHOD_REFUSED)
		return -EACCES;
	if (raw_method == METHOD_NONE)
		socks5->state = VMC_SOCKS5_REQUEST;
	else if (raw_method == METHOD_PASSWORD && socks5->proxy->has_password)
		socks5->state = VMC_SOCKS5_LOGIN;
	else
		return -EPROTO;		/* was not offered */
	return 0;
}

static int log_in(struct vmc_socks5 *socks5)
{
	if (socks5->received[1])
		return -EACCES;
	socks5->state = VMC_SOCKS5_REQUEST;
	return 0;
}

/* A whole message is there, and judge() found no fault with it. */
static int take_message(struct vmc_socks5 *socks5)
{
	switch (socks5->state) {
	case VMC_SOCKS5_METHOD:
		return choose_method(socks5);
	case VMC_SOCKS5_LOGIN_REPLY:
		return log_in(socks5);
	case VMC_SOCKS5_REPLY:
		socks5->state = VMC_SOCKS5_DONE;
		break;
	case VMC_SOCKS5_METHODS:
	case VMC_SOCKS5_LOGIN:
	case VMC_SOCKS5_REQUEST:
	case VMC_SOCKS5_DONE:
		break;
	}
	return 0;
}

/*
 * Judge what is there of a message. A proxy that refuses may hang up before
 * the end of its reply, so an error counts from its byte on. The reserved byte
 * is not looked at, nor is the address that the proxy connects from: neither
 * means anything to the guest.
 */
static int judge(const struct vmc_socks5 *socks5)
{
	const uint8_t *raw = socks5->received;
	size_t nr = socks5->nr_received;
	int error;

	if (socks5->state == VMC_SOCKS5_LOGIN_REPLY)
		return nr >= 1 && raw[0] != LOGIN_VERSION ? -EPROTO : 0;
	if (nr >= 1 && raw[0] != VERSION)
		return -EPROTO;
	if (socks5->state != VMC_SOCKS5_REPLY || nr < 2)
		return 0;
	error = reply_error(raw[1]);
	if (error || nr < 4)
		return error;
	if (raw[3] != ADDRESS_INET && raw[3] != ADDRESS_DOMAIN &&
	    raw[3] != ADDRESS_INET6)
		return -EPROTO;
	return 0;
}

/**
 * vmc_socks5_input - bytes came from the proxy
 * @socks5: it is the proxy's turn
 * @raw_bytes: unchecked; the caller's
 * @nr_bytes: 1 to what vmc_socks5_wanted() said
 *
 * The handshake has failed after an error and can only be given up; it never
 * looks done. The errors are those that the guest's connect() shall have.
 *
 * Return: 0; -EPROTO for what is not SOCKS5 or was not offered; -EACCES if the
 * proxy takes none of our methods, or not our password, or its rules forbid
 * the target; -EHOSTUNREACH, -ENETUNREACH or -ECONNREFUSED as the proxy
 * fared with the target; -EINVAL for more bytes than wanted.
 */
int vmc_socks5_input(struct vmc_socks5 *socks5, const uint8_t *raw_bytes,
		     size_t nr_bytes)
{
	size_t nr_before = socks5->nr_received;
	int error;

	if (nr_bytes > vmc_socks5_wanted(socks5))
		return -EINVAL;
	if (!nr_bytes)
		return 0;
	memcpy(socks5->received + nr_before, raw_bytes, nr_bytes);
	socks5->nr_received += nr_bytes;
	error = judge(socks5);
	if (error)
		goto forget_bytes;
	if (vmc_socks5_wanted(socks5))
		return 0;
	error = take_message(socks5);
	if (error)
		goto forget_bytes;
	socks5->nr_received = 0;
	return 0;

forget_bytes:
	socks5->nr_received = nr_before;
	return error;
}
