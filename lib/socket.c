// SPDX-License-Identifier: MIT
/*
 * What transports have in common whose connection is a socket that the kernel
 * knows all about: poll() on it, shutdown(), its error. Owns nothing.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "lib/transport.h"

/**
 * vmc_socket_error - why a connection is of no more use
 * @fd: the socket; forgets it
 *
 * Return: positive errno, or 0.
 */
int vmc_socket_error(int fd)
{
	socklen_t bytes = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes))
		return errno;
	return error;
}

/**
 * vmc_socket_events - vmc_events() of a socket
 * @what: VMC_WAIT_ flags
 */
short vmc_socket_events(unsigned int what)
{
	return (short)((what & VMC_WAIT_DATA ? POLLIN : 0) |
		       (what & VMC_WAIT_SPACE ? POLLOUT : 0));
}

/**
 * vmc_socket_sleep - sleep in poll()
 * @connection: whose fd is the socket
 * @what: VMC_WAIT_ flags
 * @timeout_ms: as for poll()
 *
 * Return: 0 or poll()'s error.
 */
int vmc_socket_sleep(struct vmc_connection *connection, unsigned int what,
		     int timeout_ms)
{
	struct pollfd poll_fd = {
		.fd = connection->fd,
		.events = vmc_socket_events(what),
	};

	return poll(&poll_fd, 1, timeout_ms) < 0 ? -errno : 0;
}

/**
 * vmc_socket_shutdown - vmc_shutdown() of a socket
 * @connection: whose fd is the socket
 */
int vmc_socket_shutdown(struct vmc_connection *connection)
{
	return shutdown(connection->fd, SHUT_WR) ? -errno : 0;
}

/**
 * vmc_socket_fd - vmc_fd() of a socket
 * @connection: whose fd is the socket
 */
int vmc_socket_fd(struct vmc_connection *connection)
{
	return connection->fd;
}
