// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program that knows nothing of circuits, for static linking: echoes one
 * connection (echo PORT), or sends a megabyte through such a server and
 * compares what returns (echo PORT ADDRESS).
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TOTAL_BYTES	(1 << 20)
#define BLOCK_BYTES	4096

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void send_all(int fd, const char *data, size_t bytes)
{
	while (bytes) {
		ssize_t sent = send(fd, data, bytes, MSG_NOSIGNAL);

		if (sent <= 0)
			die("send");
		data += sent;
		bytes -= (size_t)sent;
	}
}

/* Fills in a name and returns its size; no address: the IPv6 wildcard. */
static socklen_t resolve(const char *address, const char *port,
			 struct sockaddr_storage *ret_name)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret_name;
	struct sockaddr_in *four = (struct sockaddr_in *)ret_name;

	memset(ret_name, 0, sizeof(*ret_name));
	if (address && inet_pton(AF_INET, address, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons((in_port_t)atoi(port));
		return sizeof(*four);
	}
	if (address && inet_pton(AF_INET6, address, &six->sin6_addr) != 1)
		die(address);
	six->sin6_family = AF_INET6;
	six->sin6_port = htons((in_port_t)atoi(port));
	return sizeof(*six);
}

static void serve(const char *port)
{
	struct sockaddr_storage name;
	socklen_t bytes = resolve(NULL, port, &name);
	int listener = socket(name.ss_family, SOCK_STREAM, 0), on = 1, fd;
	char block[BLOCK_BYTES];
	ssize_t got;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (listener < 0 || bind(listener, (struct sockaddr *)&name, bytes) ||
	    listen(listener, 8))
		die("listen");
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		die("accept");
	while ((got = recv(fd, block, sizeof(block), 0)) > 0)
		send_all(fd, block, (size_t)got);
}

static void converse(const char *port, const char *address)
{
	struct sockaddr_storage name;
	socklen_t bytes = resolve(address, port, &name);
	int fd = socket(name.ss_family, SOCK_STREAM, 0);
	char sent[BLOCK_BYTES], got[BLOCK_BYTES];

	if (fd < 0 || connect(fd, (struct sockaddr *)&name, bytes))
		die("connect");
	for (int total = 0; total < TOTAL_BYTES; total += BLOCK_BYTES) {
		memset(sent, total / BLOCK_BYTES, sizeof(sent));
		send_all(fd, sent, sizeof(sent));
		if (recv(fd, got, sizeof(got), MSG_WAITALL) != sizeof(got) ||
		    memcmp(sent, got, sizeof(got)))
			die("what returned differs");
	}
	puts("1 MiB returned unchanged");
}

int main(int argc, char **argv)
{
	if (argc == 2)
		serve(argv[1]);
	else if (argc == 3)
		converse(argv[1], argv[2]);
	else
		return 2;
	return 0;
}
