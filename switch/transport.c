// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the host's TCP can do, found out by trying. Owns nothing. Called by
 * config_policy.c.
 */
#include <cap-ng.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "switch/transport.h"

/* Not in every libc. */
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif

/* A socket of either family: a host may have one only. */
static int open_socket(int protocol)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, protocol);

	if (fd < 0 && errno == EAFNOSUPPORT)
		fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, protocol);
	return fd < 0 ? -errno : fd;
}

/* On a socket of its own: what a socket has already is not refused. */
static int try_congestion(const char *name)
{
	int fd = open_socket(IPPROTO_TCP);
	int error = 0;

	if (fd < 0)
		return fd;
	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name,
		       (socklen_t)strlen(name)))
		error = -errno;
	close(fd);
	return error;
}

/* As the switch is when it serves: without CAP_NET_ADMIN. */
static int try_unprivileged(const char *name)
{
	int error;

	if (capng_get_caps_process() ||
	    !capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN))
		return 0;
	capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_NET_ADMIN);
	if (capng_apply(CAPNG_SELECT_CAPS))
		return 0;
	error = try_congestion(name);
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE, CAP_NET_ADMIN);
	if (capng_apply(CAPNG_SELECT_CAPS) && !error)
		error = -EPERM;
	return error;
}

/**
 * vmc_transport_check_congestion - whether a congestion control can be used
 * @name: its name
 * @is_privileged: the process may still have capabilities; they are used to
 *		   load the kernel's module, and given back
 *
 * Return: 0; -ENOENT when the kernel has none of that name; -EPERM when it is
 * not for the switch, see net.ipv4.tcp_allowed_congestion_control; the error
 * of socket().
 */
int vmc_transport_check_congestion(const char *name, bool is_privileged)
{
	int error = try_congestion(name);

	if (!error && is_privileged)
		error = try_unprivileged(name);
	return error;
}

/**
 * vmc_transport_check_mptcp - whether the host has Multipath TCP
 *
 * Return: 0, or the error of socket().
 */
int vmc_transport_check_mptcp(void)
{
	int fd = open_socket(IPPROTO_MPTCP);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}
