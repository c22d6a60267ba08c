// SPDX-License-Identifier: MIT
/*
 * The shim for kernels without the redirect's hook, put into a program by
 * LD_PRELOAD: asks for circuits where the program asks for TCP. Static
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

/**
 * socket - as socket(2)
 * @family: passed on
 * @type: passed on
 * @protocol: TCP becomes a circuit, if the module is there
 */
int socket(int family, int type, int protocol)
{
	int saved = errno, fd;

	if ((family == AF_INET || family == AF_INET6) &&
	    (type & TYPE_MASK) == SOCK_STREAM &&
	    (protocol == 0 || protocol == IPPROTO_TCP)) {
		fd = real_socket(family, type, VMC_IPPROTO_STREAM);
		if (fd >= 0 || errno != EPROTONOSUPPORT)
			return fd;
		errno = saved;
	}
	return real_socket(family, type, protocol);
}
