// SPDX-License-Identifier: MIT
/*
 * The shim for kernels without the redirect's hook, put into a program by
 * LD_PRELOAD: asks for circuits where the program asks for TCP or UDP. Static
 * programs, and those that make system calls by themselves, do not see it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "proto/limits.h"

#define TYPE_MASK	0xf

static int real_socket(int family, int type, int protocol)
{
	return (int)syscall(SYS_socket, family, type, protocol);
}

/* The number to ask for instead, or 0. */
static int circuit_protocol(int type, int protocol)
{
	if ((type & TYPE_MASK) == SOCK_STREAM &&
	    (protocol == 0 || protocol == IPPROTO_TCP))
		return VMC_IPPROTO_STREAM;
	if ((type & TYPE_MASK) == SOCK_DGRAM &&
	    (protocol == 0 || protocol == IPPROTO_UDP))
		return VMC_IPPROTO_DATAGRAM;
	return 0;
}

/**
 * socket - as socket(2)
 * @family: passed on
 * @type: passed on
 * @protocol: TCP and UDP become circuits, if the module is there
 */
int socket(int family, int type, int protocol)
{
	int ours = circuit_protocol(type, protocol);
	int saved = errno, fd;

	if ((family == AF_INET || family == AF_INET6) && ours) {
		fd = real_socket(family, type, ours);
		if (fd >= 0 || errno != EPROTONOSUPPORT)
			return fd;
		errno = saved;
	}
	return real_socket(family, type, protocol);
}
