// SPDX-License-Identifier: MIT
/*
 * A connection that is a circuit: its rings and control pages are mapped, and
 * the program reads and writes in place. The kernel is asked to ring a peer
 * that sleeps, and by poll() to wake us; see proto/mapping.h.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "lib/end.h"
#include "lib/shared.h"
#include "lib/transport.h"
#include "proto/mapping.h"

struct mapped {
	struct vmc_connection connection;
	struct vmc_map_info info;
	struct vmc_end end;
	int error;		/* the connection's, once and for all */
};

static struct mapped *mapped_of(const struct vmc_connection *connection)
{
	return (struct mapped *)connection;
}

/* The areas in the order of mapping; a ring's has it twice in a row. */
static size_t tx_area_bytes(const struct mapped *mapped)
{
	return 2 * (size_t)mapped->info.tx_bytes;
}

static size_t rx_area_bytes(const struct mapped *mapped)
{
	return 2 * (size_t)mapped->info.rx_bytes;
}

static void unmap(void *area, size_t bytes)
{
	if (area != MAP_FAILED)
		munmap(area, bytes);
}

static int destroy(struct vmc_connection *connection)
{
	struct mapped *mapped = mapped_of(connection);

	unmap(mapped->end.own, VMC_PAGE_BYTES);
	unmap((void *)mapped->end.peer, VMC_PAGE_BYTES);
	unmap(mapped->end.tx, tx_area_bytes(mapped));
	unmap((void *)mapped->end.rx, rx_area_bytes(mapped));
	free(mapped);
	return 0;
}

/*
 * Why the connection is of no more use. The kernel knows; if it does not yet,
 * the peer's word or lie comes first.
 */
static int fail(struct mapped *mapped, int otherwise)
{
	int error = vmc_socket_error(mapped->connection.fd);

	mapped->error = error ? error : otherwise;
	return -mapped->error;
}

static int ring(struct mapped *mapped)
{
	if (ioctl(mapped->connection.fd, VMC_IOC_RING))
		return fail(mapped, ECONNRESET);
	return 0;
}

/*
 * Nothing can be had: is that the end? What the program asked of its own socket,
 * and what the switch says of a circuit, stands in no page; only the kernel can
 * tell. @end_events: what poll() says at the end, beside POLLERR.
 *
 * Return: 0 at that end, -EAGAIN, or an error.
 */
static int check_alive(struct mapped *mapped, uint32_t flags, short end_events)
{
	struct pollfd poll_fd = {
		.fd = mapped->connection.fd,
		.events = end_events,
	};

	if (mapped->end.is_lying || (flags & VMC_CTL_RST))
		return fail(mapped, ECONNRESET);
	if (poll(&poll_fd, 1, 0) < 0)
		return -EAGAIN;
	if (poll_fd.revents & POLLERR)
		return fail(mapped, ECONNRESET);
	return poll_fd.revents & end_events ? 0 : -EAGAIN;
}

static ssize_t reserve(struct vmc_connection *connection, size_t bytes,
		       void **ret_span)
{
	struct mapped *mapped = mapped_of(connection);
	struct vmc_end *end = &mapped->end;
	uint32_t flags, room;

	if (mapped->error)
		return -mapped->error;
	flags = vmc_end_peer_flags(end);
	if (flags & VMC_CTL_RST)
		return fail(mapped, ECONNRESET);
	if ((flags & VMC_CTL_GONE) ||
	    (vmc_shared_load32(&end->own->flags) & VMC_CTL_FIN))
		return -EPIPE;
	room = vmc_end_writable(end);
	if (!room)
		return check_alive(mapped, flags, POLLHUP) ?: -EPIPE;
	*ret_span = end->tx + (end->prod & (end->tx_bytes - 1));
	return room < bytes ? room : (ssize_t)bytes;
}

static int commit(struct vmc_connection *connection, size_t bytes)
{
	struct mapped *mapped = mapped_of(connection);

	if (mapped->error)
		return -mapped->error;
	return vmc_end_produce(&mapped->end, (uint32_t)bytes) ? ring(mapped) :
								0;
}

static ssize_t peek(struct vmc_connection *connection, size_t bytes,
		    const void **ret_span)
{
	struct mapped *mapped = mapped_of(connection);
	struct vmc_end *end = &mapped->end;
	uint32_t flags, fill;
	int error = -EAGAIN;

	if (mapped->error)
		return -mapped->error;
	/* In this order: who sees FIN sees the final index. */
	flags = vmc_end_peer_flags(end);
	fill = vmc_end_readable(end);
	if (!fill) {
		error = flags & VMC_CTL_FIN && !(flags & VMC_CTL_RST) ? 0 :
			check_alive(mapped, flags, POLLRDHUP | POLLHUP);
		/* The kernel may know of a FIN and of bytes before it. */
		fill = error ? 0 : vmc_end_readable(end);
	}
	if (!fill)
		return error;
	*ret_span = end->rx + (end->cons & (end->rx_bytes - 1));
	return fill < bytes ? fill : (ssize_t)bytes;
}

static int release(struct vmc_connection *connection, size_t bytes)
{
	struct mapped *mapped = mapped_of(connection);
	bool is_wanted;

	if (mapped->error)
		return -mapped->error;
	is_wanted = vmc_end_consume(&mapped->end, (uint32_t)bytes);
	/* If the link was lost, what was read may not be what was sent. */
	if (vmc_end_peer_flags(&mapped->end) & VMC_CTL_RST)
		return fail(mapped, ECONNRESET);
	return is_wanted ? ring(mapped) : 0;
}

static bool probe(struct vmc_connection *connection, unsigned int what)
{
	struct mapped *mapped = mapped_of(connection);
	struct vmc_end *end = &mapped->end;
	uint32_t flags = vmc_end_peer_flags(end);

	return mapped->error || (flags & VMC_CTL_RST) ||
	       ((what & VMC_WAIT_DATA) &&
		((flags & VMC_CTL_FIN) || vmc_end_readable(end))) ||
	       ((what & VMC_WAIT_SPACE) &&
		((flags & VMC_CTL_GONE) || vmc_end_writable(end))) ||
	       end->is_lying;
}

/* What is committed is the peer's. */
static size_t unsent(const struct vmc_connection *connection)
{
	(void)connection;
	return 0;
}

static const struct vmc_transport mapped_transport = {
	.kind = VMC_KIND_CIRCUIT,
	.destroy = destroy,
	.reserve = reserve,
	.commit = commit,
	.peek = peek,
	.release = release,
	.probe = probe,
	.unsent = unsent,
};

static void *map(int fd, size_t bytes, int protection, unsigned long long area)
{
	return mmap(NULL, bytes, protection, MAP_SHARED, fd, (off_t)area);
}

/**
 * vmc_mapped_open - map a circuit
 * @fd: a connected stream socket
 * @ret_connection: its transport's destroy() ends it
 *
 * Return: 0, -ENOTTY if the socket is no circuit, or as vmc_attach().
 */
int vmc_mapped_open(int fd, struct vmc_connection **ret_connection)
{
	struct mapped *mapped = calloc(1, sizeof(*mapped));
	const int read_write = PROT_READ | PROT_WRITE;
	struct vmc_ctl *own;
	void *peer, *tx, *rx;
	int error;

	if (!mapped)
		return -ENOMEM;
	if (ioctl(fd, VMC_IOC_MAP_INFO, &mapped->info)) {
		error = -errno;
		free(mapped);
		return error;
	}
	mapped->connection.transport = &mapped_transport;
	mapped->connection.fd = fd;
	/* The control page last: with it the indexes become ours. */
	peer = map(fd, VMC_PAGE_BYTES, PROT_READ, VMC_MAP_PEER);
	tx = map(fd, tx_area_bytes(mapped), read_write, VMC_MAP_TX);
	rx = map(fd, rx_area_bytes(mapped), PROT_READ, VMC_MAP_RX);
	own = map(fd, VMC_PAGE_BYTES, read_write, VMC_MAP_OWN);
	error = -errno;
	if (peer == MAP_FAILED || tx == MAP_FAILED || rx == MAP_FAILED ||
	    own == MAP_FAILED) {
		mapped->end.own = own;
		mapped->end.peer = peer;
		mapped->end.tx = tx;
		mapped->end.rx = rx;
		destroy(&mapped->connection);
		return error;
	}
	vmc_end_resume(&mapped->end, own, peer, tx, mapped->info.tx_bytes, rx,
		       mapped->info.rx_bytes);
	*ret_connection = &mapped->connection;
	return 0;
}
