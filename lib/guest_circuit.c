// SPDX-License-Identifier: MIT
/*
 * A circuit socket of a guest: its rings and control pages are mapped through
 * the socket. The kernel is asked to ring a peer that sleeps, and by poll() to
 * wake us; see proto/mapping.h.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "lib/mapped.h"
#include "proto/mapping.h"

struct guest_circuit {
	struct vmc_mapped mapped;
	struct vmc_map_info info;
};

static struct guest_circuit *circuit_of(struct vmc_connection *connection)
{
	return (struct guest_circuit *)connection;
}

/* The areas in the order of mapping; a ring's has it twice in a row. */
static size_t tx_area_bytes(const struct guest_circuit *circuit)
{
	return 2 * (size_t)circuit->info.tx_bytes;
}

static size_t rx_area_bytes(const struct guest_circuit *circuit)
{
	return 2 * (size_t)circuit->info.rx_bytes;
}

static void unmap(void *area, size_t bytes)
{
	if (area != MAP_FAILED)
		munmap(area, bytes);
}

static int destroy(struct vmc_connection *connection)
{
	struct guest_circuit *circuit = circuit_of(connection);
	struct vmc_end *end = &circuit->mapped.end;

	unmap(end->own, VMC_PAGE_BYTES);
	unmap((void *)end->peer, VMC_PAGE_BYTES);
	unmap(end->tx, tx_area_bytes(circuit));
	unmap((void *)end->rx, rx_area_bytes(circuit));
	free(circuit);
	return 0;
}

/* The kernel knows. */
static int error_of(struct vmc_mapped *mapped)
{
	return vmc_socket_error(mapped->connection.fd);
}

static int ring(struct vmc_mapped *mapped)
{
	if (ioctl(mapped->connection.fd, VMC_IOC_RING))
		return vmc_mapped_fail(mapped, ECONNRESET);
	return 0;
}

/*
 * What the program asked of its own socket, and what the switch says of a
 * circuit, stands in no page; only the kernel can tell, in poll().
 */
static int look(struct vmc_mapped *mapped, unsigned int what)
{
	const short end_events = what == VMC_WAIT_DATA ? POLLRDHUP | POLLHUP :
							 POLLHUP;
	struct pollfd poll_fd = {
		.fd = mapped->connection.fd,
		.events = end_events,
	};

	if (mapped->end.is_lying ||
	    (vmc_end_peer_flags(&mapped->end) & VMC_CTL_RST))
		return vmc_mapped_fail(mapped, ECONNRESET);
	if (poll(&poll_fd, 1, 0) < 0)
		return -EAGAIN;
	if (poll_fd.revents & POLLERR)
		return vmc_mapped_fail(mapped, ECONNRESET);
	return poll_fd.revents & end_events ? 0 : -EAGAIN;
}

static const struct vmc_mapped_ops ops = {
	.ring = ring,
	.look = look,
	.error = error_of,
};

static const struct vmc_transport transport = {
	.kind = VMC_KIND_CIRCUIT,
	.destroy = destroy,
	.reserve = vmc_mapped_reserve,
	.commit = vmc_mapped_commit,
	.peek = vmc_mapped_peek,
	.release = vmc_mapped_release,
	.probe = vmc_mapped_probe,
	.sleep = vmc_socket_sleep,
	.shutdown = vmc_socket_shutdown,
	.fd = vmc_socket_fd,
	.events = vmc_socket_events,
	.unsent = vmc_mapped_unsent,
};

static void *map(int fd, size_t bytes, int protection, unsigned long long area)
{
	return mmap(NULL, bytes, protection, MAP_SHARED, fd, (off_t)area);
}

/**
 * vmc_guest_circuit_open - map a circuit
 * @fd: a connected stream socket
 * @ret_connection: its transport's destroy() ends it
 *
 * Return: 0, -ENOTTY if the socket is no circuit, or as vmc_attach().
 */
int vmc_guest_circuit_open(int fd, struct vmc_connection **ret_connection)
{
	struct guest_circuit *circuit = calloc(1, sizeof(*circuit));
	const int read_write = PROT_READ | PROT_WRITE;
	struct vmc_ctl *own;
	void *peer, *tx, *rx;
	int error;

	if (!circuit)
		return -ENOMEM;
	if (ioctl(fd, VMC_IOC_MAP_INFO, &circuit->info)) {
		error = -errno;
		free(circuit);
		return error;
	}
	circuit->mapped.connection.transport = &transport;
	circuit->mapped.connection.fd = fd;
	circuit->mapped.ops = &ops;
	/* The control page last: with it the indexes become ours. */
	peer = map(fd, VMC_PAGE_BYTES, PROT_READ, VMC_MAP_PEER);
	tx = map(fd, tx_area_bytes(circuit), read_write, VMC_MAP_TX);
	rx = map(fd, rx_area_bytes(circuit), PROT_READ, VMC_MAP_RX);
	own = map(fd, VMC_PAGE_BYTES, read_write, VMC_MAP_OWN);
	error = -errno;
	if (peer == MAP_FAILED || tx == MAP_FAILED || rx == MAP_FAILED ||
	    own == MAP_FAILED) {
		circuit->mapped.end.own = own;
		circuit->mapped.end.peer = peer;
		circuit->mapped.end.tx = tx;
		circuit->mapped.end.rx = rx;
		destroy(&circuit->mapped.connection);
		return error;
	}
	vmc_end_resume(&circuit->mapped.end, own, peer, tx,
		       circuit->info.tx_bytes, rx, circuit->info.rx_bytes);
	*ret_connection = &circuit->mapped.connection;
	return 0;
}
