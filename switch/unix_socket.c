// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The sockets in the file system that others connect to. Owns nothing. Called
 * by control_server.c, guest.c and endpoint.c, before privileges are dropped.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "switch/unix_socket.h"

#define BACKLOG	16

/**
 * vmc_unix_socket_listen - make a socket and listen on it
 * @path: short enough for a socket; what a dead switch left there is replaced
 * @type: SOCK_STREAM or SOCK_SEQPACKET
 * @rights: who may connect
 * @ret_fd: the socket, non-blocking; the caller's to close and to unlink
 *
 * Return: 0, or the error of socket(), bind(), chown(), chmod() or listen().
 */
int vmc_unix_socket_listen(const char *path, int type,
			   const struct vmc_socket_rights *rights, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error, fd;

	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    chown(path, rights->owner, rights->group) ||
	    chmod(path, rights->mode) || listen(fd, BACKLOG)) {
		error = -errno;
		close(fd);
		return error;
	}
	*ret_fd = fd;
	return 0;
}
