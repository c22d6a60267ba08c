// SPDX-License-Identifier: MIT
/*
 * Connections by name, wherever the program runs: in a guest, or anywhere,
 * through a socket; on a host whose switch has an endpoint for it, as that
 * endpoint. Used by vmc-cp and vmc-serve. Functions end the program when they
 * fail.
 */
#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "examples/dial.h"
#include "examples/reach.h"
#include "lib/vmcircuit.h"

/* Who was asked does not answer, ms. */
#define DIAL_TIMEOUT_MS	10000

static struct vmc_endpoint *endpoint;	/* NULL: by sockets */

/**
 * be_endpoint - connect and listen as an endpoint from now on
 * @path: its socket
 */
void be_endpoint(const char *path)
{
	int error = vmc_endpoint_open(path, &endpoint);

	if (error)
		errx(1, "endpoint %s: %s", path, error == -EACCES ?
		     "the switch turns this user away" : strerror(-error));
}

/* The first is taken; of any address that is IPv4's. */
static struct addrinfo *find(const char *host, const char *port)
{
	return resolve(host, port, host ? AF_UNSPEC : AF_INET, AI_PASSIVE);
}

/**
 * reach - connect to a server
 * @host: its name or address
 * @port: number or name of its port
 *
 * Return: the connection, for hang_up().
 */
struct vmc_connection *reach(const char *host, const char *port)
{
	struct vmc_connection *connection;
	struct addrinfo *name;
	int error;

	if (!endpoint)
		return attach(dial(host, port));
	name = find(host, port);
	error = vmc_dial(endpoint, name->ai_addr, name->ai_addrlen,
			 DIAL_TIMEOUT_MS, &connection);
	if (error)
		errx(1, "connecting to %s port %s: %s", host, port,
		     strerror(-error));
	freeaddrinfo(name);
	return connection;
}

/**
 * wait_at - wait for connections
 * @host: the address to listen on, NULL for any
 * @port: number or name of the port
 */
struct place wait_at(const char *host, const char *port)
{
	struct place place = { .socket = -1 };
	struct addrinfo *name;
	int error;

	if (!endpoint) {
		place.socket = listen_at(host, port);
		return place;
	}
	name = find(host, port);
	error = vmc_listen(endpoint, name->ai_addr, name->ai_addrlen,
			   &place.listener);
	if (error)
		errx(1, "listening on port %s: %s", port, strerror(-error));
	freeaddrinfo(name);
	return place;
}

/**
 * take_next - the next connection
 * @place: from wait_at()
 *
 * Return: the connection, for hang_up().
 */
struct vmc_connection *take_next(const struct place *place)
{
	struct vmc_connection *connection;
	int error, fd;

	if (place->socket >= 0) {
		fd = accept(place->socket, NULL, NULL);
		if (fd < 0)
			err(1, "accept");
		return attach(fd);
	}
	error = vmc_accept(place->listener, -1, NULL, &connection);
	if (error)
		errx(1, "accepting: %s", strerror(-error));
	return connection;
}

/**
 * hang_up - close a connection
 * @connection: from reach() or take_next()
 */
void hang_up(struct vmc_connection *connection)
{
	int fd = endpoint ? -1 : vmc_fd(connection);

	vmc_detach(connection);
	if (fd >= 0)
		close(fd);
}
