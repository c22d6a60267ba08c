// SPDX-License-Identifier: MIT
/*
 * Sockets by name, as in any program, and vmc_attach(). Used by vmc-cp and
 * vmc-serve.
 */
#include <err.h>
#include <netdb.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "examples/dial.h"
#include "lib/vmcircuit.h"

/**
 * resolve - the addresses of a name
 * @host: name or address, NULL for any address
 * @port: number or name
 * @family: AF_UNSPEC for all
 * @flags: AI_
 *
 * Return: for freeaddrinfo(); ends the program if the name means nothing.
 */
struct addrinfo *resolve(const char *host, const char *port, int family,
			 int flags)
{
	const struct addrinfo hints = {
		.ai_family = family,
		.ai_flags = flags,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *names;
	int error = getaddrinfo(host, port, &hints, &names);

	if (error)
		errx(1, "%s port %s: %s", host ? host : "any address", port,
		     gai_strerror(error));
	return names;
}

/**
 * dial - connect to a server
 * @host: its name or address
 * @port: number or name of its port
 *
 * Return: the socket, the caller closes it; ends the program on failure.
 */
int dial(const char *host, const char *port)
{
	struct addrinfo *names = resolve(host, port, AF_UNSPEC, AI_ADDRCONFIG);
	struct addrinfo *name;
	int fd = -1;

	for (name = names; name && fd < 0; name = name->ai_next) {
		fd = socket(name->ai_family, name->ai_socktype,
			    name->ai_protocol);
		if (fd >= 0 && connect(fd, name->ai_addr, name->ai_addrlen)) {
			warn("connecting to %s port %s", host, port);
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(names);
	if (fd < 0)
		errx(1, "%s port %s cannot be reached", host, port);
	return fd;
}

/**
 * listen_at - wait for connections
 * @host: the address to listen on, NULL for any
 * @port: number or name of the port
 *
 * Return: the listening socket; ends the program on failure.
 */
int listen_at(const char *host, const char *port)
{
	struct addrinfo *names = resolve(host, port, AF_UNSPEC,
					 AI_PASSIVE | AI_ADDRCONFIG);
	const int on = 1;
	int fd;

	fd = socket(names->ai_family, names->ai_socktype, names->ai_protocol);
	if (fd < 0)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, names->ai_addr, names->ai_addrlen) || listen(fd, 64))
		err(1, "listening on port %s", port);
	freeaddrinfo(names);
	return fd;
}

/**
 * attach - work on a connected socket
 * @fd: the socket
 *
 * Return: the connection, for vmc_detach(); ends the program on failure.
 */
struct vmc_connection *attach(int fd)
{
	struct vmc_connection *connection;
	int error = vmc_attach(fd, &connection);

	if (error)
		errx(1, "cannot attach to the connection: %s", strerror(-error));
	return connection;
}

/**
 * carrier - what the connection turned out to be, in words
 * @connection: attached
 */
const char *carrier(const struct vmc_connection *connection)
{
	return vmc_kind(connection) == VMC_KIND_CIRCUIT ?
	       "a circuit, in place" : "a socket";
}
