// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sockets of the host, as the uplink uses them: how they are made, bound, tuned
 * and asked. Owns nothing. Called by the relays, datagram_socket.c and echo.c.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "switch/address.h"
#include "switch/host_socket.h"
#include "switch/save.h"

/* Not in every libc. */
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif

/* The longest that the kernel takes for TCP_KEEPIDLE and TCP_KEEPINTVL, s. */
#define MAX_KEEP_S	32767
#define MAX_KEEP_COUNT	127
/* Wished; the kernel caps it at net.core.rmem_max and wmem_max. */
#define DATAGRAM_BUFFER_BYTES	(1 << 20)

/**
 * vmc_host_socket_address - a name as the host's system calls have it
 * @name: checked
 * @ret_address: the address
 *
 * Return: its length in bytes.
 */
socklen_t vmc_host_socket_address(const struct vmc_name *name,
				  struct sockaddr_storage *ret_address)
{
	struct sockaddr_in6 *inet6 = (struct sockaddr_in6 *)ret_address;
	struct sockaddr_in *inet = (struct sockaddr_in *)ret_address;

	memset(ret_address, 0, sizeof(*ret_address));
	if (name->family == VMC_FAMILY_INET) {
		inet->sin_family = AF_INET;
		inet->sin_port = htons(le16toh(name->port));
		memcpy(&inet->sin_addr, name->address, 4);
		return sizeof(*inet);
	}
	inet6->sin6_family = AF_INET6;
	inet6->sin6_port = htons(le16toh(name->port));
	memcpy(&inet6->sin6_addr, name->address, 16);
	return sizeof(*inet6);
}

/**
 * vmc_host_socket_name - the opposite of vmc_host_socket_address()
 * @address: from the kernel
 * @ret_name: the name; a mapped IPv4 address becomes plain IPv4
 *
 * Return: 0, or -EAFNOSUPPORT for what a name cannot say.
 */
int vmc_host_socket_name(const struct sockaddr_storage *address,
			 struct vmc_name *ret_name)
{
	const struct sockaddr_in6 *inet6 =
		(const struct sockaddr_in6 *)address;
	const struct sockaddr_in *inet = (const struct sockaddr_in *)address;

	memset(ret_name, 0, sizeof(*ret_name));
	switch (address->ss_family) {
	case AF_INET:
		ret_name->family = VMC_FAMILY_INET;
		ret_name->port = htole16(ntohs(inet->sin_port));
		memcpy(ret_name->address, &inet->sin_addr, 4);
		return 0;
	case AF_INET6:
		ret_name->family = VMC_FAMILY_INET6;
		ret_name->port = htole16(ntohs(inet6->sin6_port));
		memcpy(ret_name->address, &inet6->sin6_addr, 16);
		return vmc_name_check(ret_name);
	default:
		return -EAFNOSUPPORT;
	}
}

static int family_of(const struct vmc_name *name)
{
	return name->family == VMC_FAMILY_INET ? AF_INET : AF_INET6;
}

static void set(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

static void set_freebind(int fd, const struct vmc_name *name)
{
	if (name->family == VMC_FAMILY_INET)
		set(fd, IPPROTO_IP, IP_FREEBIND, 1);
	else
		set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
}

/**
 * vmc_host_socket_bind_freely - bind to an address that may not be the host's
 * @fd: the socket
 * @name: the address; the port must be free, 0: any
 *
 * Return: 0, or the error of bind(), negative.
 */
int vmc_host_socket_bind_freely(int fd, const struct vmc_name *name)
{
	struct sockaddr_storage address;
	socklen_t bytes = vmc_host_socket_address(name, &address);

	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set_freebind(fd, name);
	if (bind(fd, (struct sockaddr *)&address, bytes))
		return -errno;
	return 0;
}

/**
 * vmc_host_socket_dial - a socket that shall be connected
 * @target: where to; only its family matters here
 * @carriage: how; the proxy is the caller's business
 * @source: the name to come from, or NULL: the host chooses
 *
 * Return: the socket, blocking; or -errno: the error of socket() or bind(),
 * -ENOPROTOOPT when the congestion control is not to be had any more.
 */
int vmc_host_socket_dial(const struct vmc_name *target,
			 const struct vmc_carriage *carriage,
			 const struct vmc_name *source)
{
	int fd, error = 0;

	fd = socket(family_of(target), SOCK_STREAM | SOCK_CLOEXEC,
		    carriage->is_mptcp ? IPPROTO_MPTCP : IPPROTO_TCP);
	if (fd < 0)
		return -errno;
	if (carriage->congestion[0] &&
	    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, carriage->congestion,
		       (socklen_t)strlen(carriage->congestion)))
		error = -ENOPROTOOPT;
	if (!error && source)
		error = vmc_host_socket_bind_freely(fd, source);
	if (!error)
		return fd;
	close(fd);
	return error;
}

/**
 * vmc_host_socket_bind - a socket that may listen at a name
 * @name: the name; IPv6 wildcards take no IPv4
 *
 * Return: the socket, or the error of socket() or bind(), negative.
 */
int vmc_host_socket_bind(const struct vmc_name *name)
{
	int fd, error;

	fd = socket(family_of(name), SOCK_STREAM | SOCK_NONBLOCK |
		    SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return -errno;
	if (name->family == VMC_FAMILY_INET6)
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	error = vmc_host_socket_bind_freely(fd, name);
	if (!error)
		return fd;
	close(fd);
	return error;
}

/* Everything that a datagram's way here and there is to be known by. */
static void prepare_datagrams(int fd, unsigned int family)
{
	set(fd, SOL_SOCKET, SO_SNDBUF, DATAGRAM_BUFFER_BYTES);
	set(fd, SOL_SOCKET, SO_RCVBUF, DATAGRAM_BUFFER_BYTES);
	set(fd, IPPROTO_UDP, UDP_GRO, 1);
	if (family == VMC_FAMILY_INET) {
		set(fd, IPPROTO_IP, IP_RECVERR, 1);
		set(fd, IPPROTO_IP, IP_RECVTOS, 1);
	} else {
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
		set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	}
}

/*
 * The io_uring of a killed switch keeps its sockets for a moment. So the next
 * run may share a port, as nobody else can: the kernel wants the same user, and
 * the option on both sockets, which is set here when the port is taken already.
 */
static int bind_datagrams(int fd, const struct sockaddr_storage *address,
			  socklen_t bytes)
{
	int error = 0;

	if (bind(fd, (const struct sockaddr *)address, bytes))
		error = errno;
	if (error == EADDRINUSE && vmc_save_is_any()) {
		set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
		error = bind(fd, (const struct sockaddr *)address, bytes) ?
			errno : 0;
	}
	if (!error)
		set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	return -error;
}

/**
 * vmc_host_socket_datagram - a socket for datagrams, connected to nobody
 * @family: VMC_FAMILY_
 * @source: the name to be bound to, or NULL: any address, and a free port
 *
 * Return: the socket; or the error of socket() or bind(), negative.
 */
int vmc_host_socket_datagram(unsigned int family,
			     const struct vmc_name *source)
{
	const struct vmc_name any = { .family = (uint8_t)family };
	struct sockaddr_storage address;
	socklen_t bytes;
	int fd, error;

	fd = socket(family_of(&any), SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
	if (fd < 0)
		return -errno;
	prepare_datagrams(fd, family);
	/* Not by bind_freely(): others must not share the port. */
	set_freebind(fd, &any);
	bytes = vmc_host_socket_address(source ? source : &any, &address);
	error = bind_datagrams(fd, &address, bytes);
	if (!error)
		return fd;
	close(fd);
	return error;
}

/**
 * vmc_host_socket_tell_addresses - with each datagram, where it was sent to
 * @fd: a socket for datagrams, bound to the wildcard
 * @family: VMC_FAMILY_
 */
void vmc_host_socket_tell_addresses(int fd, unsigned int family)
{
	if (family == VMC_FAMILY_INET)
		set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	else
		set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

/**
 * vmc_host_socket_set_whole - what becomes of what is too large for a path
 * @fd: a socket for datagrams
 * @family: VMC_FAMILY_
 * @is_whole: it is refused, or lost on the way; else it is sent in pieces
 */
void vmc_host_socket_set_whole(int fd, unsigned int family, bool is_whole)
{
	if (family == VMC_FAMILY_INET)
		set(fd, IPPROTO_IP, IP_MTU_DISCOVER,
		    is_whole ? IP_PMTUDISC_PROBE : IP_PMTUDISC_WANT);
	else
		set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
		    is_whole ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_WANT);
}

/**
 * vmc_host_socket_ping - a socket that sends echo requests
 * @family: VMC_FAMILY_
 *
 * It tells hop limits and errors.
 *
 * Return: the socket, or -errno: -EACCES where the system does not permit it.
 */
int vmc_host_socket_ping(uint8_t family)
{
	bool is_inet = family == VMC_FAMILY_INET;
	int fd;

	fd = socket(is_inet ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK |
		    SOCK_CLOEXEC, is_inet ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	if (fd < 0)
		return -errno;
	if (is_inet) {
		set(fd, IPPROTO_IP, IP_RECVERR, 1);
		set(fd, IPPROTO_IP, IP_RECVTTL, 1);
	} else {
		set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
		set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	}
	return fd;
}

/**
 * vmc_host_socket_set_hop_limit - how far a socket's packets go
 * @fd: the socket
 * @family: VMC_FAMILY_
 * @hop_limit: from 1 to 255
 */
void vmc_host_socket_set_hop_limit(int fd, uint8_t family, int hop_limit)
{
	if (family == VMC_FAMILY_INET)
		set(fd, IPPROTO_IP, IP_TTL, hop_limit);
	else
		set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hop_limit);
}

/**
 * vmc_host_socket_prepare - before a relay uses a socket
 * @fd: connected or not
 *
 * Until it ends in order the socket resets its peer when it is closed: if the
 * switch dies, nobody shall take half of the data for all of it.
 */
void vmc_host_socket_prepare(int fd)
{
	const struct linger reset = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

/**
 * vmc_host_socket_end_in_order - let close() send what is left, then FIN
 * @fd: the socket
 */
void vmc_host_socket_end_in_order(int fd)
{
	const struct linger none = { 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

/**
 * vmc_host_socket_reset - reset the peer, and let go of what was to be sent
 * @fd: the socket, connected; only to be closed afterwards
 */
void vmc_host_socket_reset(int fd)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	connect(fd, &nobody, sizeof(nobody));
}

/**
 * vmc_host_socket_limit_silence - fail if the peer takes nothing for long
 * @fd: the socket; its error will be ETIMEDOUT
 * @limit_ms: for how long; a peer that reads slowly starts it anew
 */
void vmc_host_socket_limit_silence(int fd, unsigned int limit_ms)
{
	set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)limit_ms);
}

/**
 * vmc_host_socket_error - what went wrong with a socket
 * @fd: the socket; forgets the error
 *
 * Return: positive errno or 0.
 */
int vmc_host_socket_error(int fd)
{
	int error = 0;
	socklen_t bytes = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes))
		return errno;
	return error;
}

/* Loads a field once, however often the value is used. */
static uint32_t load(const __le32 *raw)
{
	return le32toh(__atomic_load_n(raw, __ATOMIC_RELAXED));
}

static int bounded(const __le32 *raw, int max)
{
	uint32_t value = load(raw);

	return value > (uint32_t)max ? max : (int)value;
}

static void set_unless_0(int fd, int option, int value)
{
	if (value)
		set(fd, IPPROTO_TCP, option, value);
}

/**
 * vmc_host_socket_set_options - give a socket what a guest's program chose
 * @fd: the socket
 * @raw: in the guest's control page, unchecked; each field is read once
 */
void vmc_host_socket_set_options(int fd, const struct vmc_options *raw)
{
	uint32_t bits = load(&raw->bits);

	set(fd, IPPROTO_TCP, TCP_NODELAY, !!(bits & VMC_OPTION_NODELAY));
	set_unless_0(fd, TCP_KEEPIDLE, bounded(&raw->keep_idle_s, MAX_KEEP_S));
	set_unless_0(fd, TCP_KEEPINTVL,
		     bounded(&raw->keep_interval_s, MAX_KEEP_S));
	set_unless_0(fd, TCP_KEEPCNT, bounded(&raw->keep_count,
					      MAX_KEEP_COUNT));
	set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
	    bounded(&raw->user_timeout_ms, INT32_MAX));
	set(fd, SOL_SOCKET, SO_KEEPALIVE, !!(bits & VMC_OPTION_KEEPALIVE));
}

/**
 * vmc_host_socket_get_figures - how a socket's TCP does
 * @fd: the socket
 * @ret_figures: all but serial is filled in
 */
void vmc_host_socket_get_figures(int fd, struct vmc_figures *ret_figures)
{
	struct tcp_info info = { 0 };
	socklen_t bytes = sizeof(info);

	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes);
	ret_figures->rtt_us = htole32(info.tcpi_rtt);
	ret_figures->rtt_var_us = htole32(info.tcpi_rttvar);
	ret_figures->snd_mss = htole32(info.tcpi_snd_mss);
	ret_figures->rcv_mss = htole32(info.tcpi_rcv_mss);
	ret_figures->adv_mss = htole32(info.tcpi_advmss);
	ret_figures->path_mtu = htole32(info.tcpi_pmtu);
	ret_figures->snd_cwnd = htole32(info.tcpi_snd_cwnd);
	ret_figures->snd_ssthresh = htole32(info.tcpi_snd_ssthresh);
	ret_figures->rto_us = htole32(info.tcpi_rto);
	ret_figures->unacked = htole32(info.tcpi_unacked);
	ret_figures->lost = htole32(info.tcpi_lost);
	ret_figures->retransmits = htole32(info.tcpi_retransmits);
	ret_figures->total_retransmits = htole32(info.tcpi_total_retrans);
	ret_figures->min_rtt_us = htole32(info.tcpi_min_rtt);
	ret_figures->reordering = htole32(info.tcpi_reordering);
	ret_figures->pacing_rate = htole64(info.tcpi_pacing_rate);
	ret_figures->delivery_rate = htole64(info.tcpi_delivery_rate);
	ret_figures->bytes_acked = htole64(info.tcpi_bytes_acked);
	ret_figures->bytes_received = htole64(info.tcpi_bytes_received);
}
