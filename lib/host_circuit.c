// SPDX-License-Identifier: MIT
/*
 * A circuit of an endpoint: the process maps rings and control pages out of
 * the segments that it shares with the peer, and the two wake each other with
 * no help from the switch, see wake.c. Owns the mappings and the circuit's
 * socket.
 */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/deadline.h"
#include "lib/endpoint.h"
#include "lib/mapped.h"
#include "lib/shared.h"
#include "lib/wake.h"

/* A peer that vanishes with the switch says nothing: look so often, ms. */
#define LIVENESS_LOOK_MS	500

struct host_circuit {
	struct vmc_mapped mapped;	/* its fd is the circuit's socket */
	struct vmc_endpoint *endpoint;
	struct vmc_circuit_id id;
	uint32_t generation;		/* of the link */

	/* For poll loops, from the first vmc_fd() on; -1: not yet. */
	int set_fd;			/* epoll: the socket and self_fd */
	int self_fd;			/* eventfd: what we took, not for us */
	unsigned int armed;		/* VMC_WAIT_ bells that are asked for */
	uint64_t silent_since_us;	/* the peer closed the socket; 0: no */
};

static struct host_circuit *circuit_of(const struct vmc_connection *connection)
{
	return (struct host_circuit *)connection;
}

static void ask(struct vmc_end *end, unsigned int what)
{
	if (what & VMC_WAIT_DATA)
		vmc_end_await_data(end);
	if (what & VMC_WAIT_SPACE)
		vmc_end_await_space(end);
}

static int error_of(struct vmc_mapped *mapped)
{
	(void)mapped;
	return 0;
}

static int ring(struct vmc_mapped *mapped)
{
	vmc_wake(mapped->end.own, mapped->end.peer, mapped->connection.fd);
	return 0;
}

static int signal_self(struct host_circuit *circuit)
{
	const uint64_t count = 1;

	return write(circuit->self_fd, &count, sizeof(count)) < 0 ? -errno : 0;
}

/*
 * In a poll loop -EAGAIN is a promise that the descriptor will fire, and that
 * it does not for what is over. The bells for data and for space share it.
 */
static void rearm(struct host_circuit *circuit, unsigned int what)
{
	struct vmc_connection *connection = &circuit->mapped.connection;
	unsigned int others = circuit->armed & ~what;
	char bells[64];
	uint64_t count;
	ssize_t done;

	do {
		done = recv(connection->fd, bells, sizeof(bells), MSG_DONTWAIT);
	} while (done == sizeof(bells));
	if (!done && !circuit->silent_since_us)
		circuit->silent_since_us = vmc_now_us();
	done = read(circuit->self_fd, &count, sizeof(count));
	(void)done;
	circuit->armed |= what;
	ask(&circuit->mapped.end, circuit->armed);
	if (others && vmc_mapped_probe(connection, others)) {
		circuit->armed = what;
		signal_self(circuit);
	}
}

/*
 * The peer closed its socket without a last word, which wakes every poll(): the
 * switch has it, if there is one.
 */
static int await_last_word(struct host_circuit *circuit)
{
	struct pollfd poll_fd = { .fd = circuit->endpoint->fd };
	uint64_t silent_us = vmc_now_us() - circuit->silent_since_us;
	bool is_lost = poll(&poll_fd, 1, 0) == 1 &&
		       (poll_fd.revents & POLLHUP);

	if (!is_lost && silent_us < LIVENESS_LOOK_MS * 1000)
		return -EAGAIN;
	/* It came first, if at all. */
	if (vmc_end_peer_flags(&circuit->mapped.end) &
	    (VMC_CTL_GONE | VMC_CTL_RST))
		return -EAGAIN;
	return vmc_mapped_fail(&circuit->mapped, ECONNRESET);
}

static int look(struct vmc_mapped *mapped, unsigned int what)
{
	struct host_circuit *circuit = circuit_of(&mapped->connection);
	const uint32_t ends = what == VMC_WAIT_DATA ? VMC_CTL_FIN :
						      VMC_CTL_GONE;
	uint32_t flags;

	if (circuit->set_fd >= 0)
		rearm(circuit, what);
	flags = vmc_end_peer_flags(&mapped->end);
	if (mapped->end.is_lying || (flags & VMC_CTL_RST))
		return vmc_mapped_fail(mapped, ECONNRESET);
	if (flags & ends)
		return 0;
	return circuit->silent_since_us ? await_last_word(circuit) : -EAGAIN;
}

/* The peer closes its socket after its last word, or without one. */
static int check_alive(struct host_circuit *circuit)
{
	struct vmc_mapped *mapped = &circuit->mapped;
	char bell;

	if (recv(mapped->connection.fd, &bell, 1, MSG_PEEK | MSG_DONTWAIT) &&
	    errno != ECONNRESET)
		return 0;
	if (vmc_end_peer_flags(&mapped->end) & (VMC_CTL_GONE | VMC_CTL_RST))
		return 0;
	return vmc_mapped_fail(mapped, ECONNRESET);
}

static int sleep_for(struct vmc_connection *connection, unsigned int what,
		     int timeout_ms)
{
	struct host_circuit *circuit = circuit_of(connection);
	struct vmc_end *end = &circuit->mapped.end;
	uint32_t seen = vmc_wake_seen(end->peer);
	bool is_long = timeout_ms < 0 || timeout_ms > LIVENESS_LOOK_MS;
	int error;

	ask(end, what);
	if (vmc_mapped_probe(connection, what))
		return 0;
	error = vmc_wake_sleep(end->peer, seen,
			       is_long ? LIVENESS_LOOK_MS : timeout_ms);
	if (error != -ETIMEDOUT)
		return error;
	/* That it is over is the next thing that is found, if it is. */
	check_alive(circuit);
	return 0;
}

static int say(struct host_circuit *circuit, uint32_t flags)
{
	if (vmc_end_set_flags(&circuit->mapped.end, flags))
		ring(&circuit->mapped);
	return 0;
}

static int shut_down(struct vmc_connection *connection)
{
	return say(circuit_of(connection), VMC_CTL_FIN);
}

static void unmap(const void *area, size_t bytes)
{
	if (area)
		munmap((void *)area, bytes);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void free_circuit(struct host_circuit *circuit)
{
	const struct vmc_end *end = &circuit->mapped.end;

	unmap(end->own, VMC_PAGE_BYTES);
	unmap(end->peer, VMC_PAGE_BYTES);
	unmap(end->tx, 2 * (size_t)end->tx_bytes);
	unmap(end->rx, 2 * (size_t)end->rx_bytes);
	close_fd(circuit->set_fd);
	close_fd(circuit->self_fd);
	free(circuit);
}

static int destroy(struct vmc_connection *connection)
{
	struct host_circuit *circuit = circuit_of(connection);
	struct vmc_endpoint *endpoint = circuit->endpoint;
	uint32_t flags = VMC_CTL_FIN | VMC_CTL_GONE;

	if (vmc_end_readable(&circuit->mapped.end))
		flags |= VMC_CTL_RST;
	say(circuit, flags);
	close(connection->fd);
	vmc_endpoint_close_circuit(endpoint, &circuit->id,
				   circuit->generation);
	pthread_mutex_lock(&endpoint->lock);
	endpoint->nr_connections--;
	pthread_mutex_unlock(&endpoint->lock);
	free_circuit(circuit);
	return 0;
}

static int watch(int set_fd, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(set_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* The first poll() fires at once: nobody knows what was missed before. */
static int fd_of(struct vmc_connection *connection)
{
	struct host_circuit *circuit = circuit_of(connection);
	struct vmc_end *end = &circuit->mapped.end;
	int error;

	if (circuit->set_fd >= 0)
		return circuit->set_fd;
	circuit->self_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	circuit->set_fd = epoll_create1(EPOLL_CLOEXEC);
	error = circuit->self_fd < 0 || circuit->set_fd < 0 ? -errno : 0;
	if (!error)
		error = watch(circuit->set_fd, connection->fd);
	if (!error)
		error = watch(circuit->set_fd, circuit->self_fd);
	if (!error)
		error = signal_self(circuit);
	if (error) {
		close_fd(circuit->self_fd);
		close_fd(circuit->set_fd);
		circuit->self_fd = -1;
		circuit->set_fd = -1;
		return error;
	}
	vmc_shared_store32(&end->own->wake.waits_by,
			   VMC_WAITS_FUTEX | VMC_WAITS_SOCKET);
	vmc_shared_barrier(); /* pairs with the one in vmc_wake() */
	return circuit->set_fd;
}

static short events_for(unsigned int what)
{
	return what ? EPOLLIN : 0;
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
	.sleep = sleep_for,
	.shutdown = shut_down,
	.fd = fd_of,
	.events = events_for,
	.unsent = vmc_mapped_unsent,
};

static void *map_ctl(int fd, uint32_t slot, int protection)
{
	void *page = mmap(NULL, VMC_PAGE_BYTES, protection, MAP_SHARED, fd,
			  (off_t)(VMC_CTL_OFFSET +
				  (uint64_t)slot * VMC_PAGE_BYTES));

	return page == MAP_FAILED ? NULL : page;
}

/* Twice in a row, so that every span is in one piece. */
static void *map_ring(int fd, uint64_t offset, size_t bytes, int protection)
{
	uint8_t *area = mmap(NULL, 2 * bytes, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		return NULL;
	if (mmap(area, bytes, protection, MAP_SHARED | MAP_FIXED, fd,
		 (off_t)offset) != MAP_FAILED &&
	    mmap(area + bytes, bytes, protection, MAP_SHARED | MAP_FIXED, fd,
		 (off_t)offset) != MAP_FAILED)
		return area;
	munmap(area, 2 * bytes);
	return NULL;
}

static int map_all(struct host_circuit *circuit,
		   const struct vmc_endpoint_link *link,
		   const struct vmc_circuit_news *news)
{
	const int read_write = PROT_READ | PROT_WRITE;
	struct vmc_end *end = &circuit->mapped.end;
	uint32_t slot = le32toh(news->id.slot);
	uint32_t tx_bytes = le32toh(news->place.tx_bytes);
	uint32_t rx_bytes = le32toh(news->place.rx_bytes);

	end->tx_bytes = tx_bytes;
	end->rx_bytes = rx_bytes;
	end->own = map_ctl(link->tx_fd, slot, read_write);
	end->peer = map_ctl(link->rx_fd, slot, PROT_READ);
	end->tx = map_ring(link->tx_fd, le64toh(news->place.tx_offset),
			   tx_bytes, read_write);
	end->rx = map_ring(link->rx_fd, le64toh(news->place.rx_offset),
			   rx_bytes, PROT_READ);
	if (!end->own || !end->peer || !end->tx || !end->rx)
		return -ENOMEM;
	vmc_end_resume(end, end->own, end->peer, end->tx, tx_bytes, end->rx,
		       rx_bytes);
	vmc_shared_store32(&end->own->wake.waits_by, VMC_WAITS_FUTEX);
	vmc_shared_barrier(); /* pairs with the one in vmc_wake() */
	return 0;
}

/**
 * vmc_host_circuit_open - map a circuit
 * @endpoint: open, and longer so than the connection
 * @news: the circuit; its socket is taken over on success
 * @ret_connection: its transport's destroy() ends it
 *
 * Return: 0, -ECONNRESET when the circuit is over already, -ENOMEM.
 */
int vmc_host_circuit_open(struct vmc_endpoint *endpoint,
			  struct vmc_circuit_news *news,
			  struct vmc_connection **ret_connection)
{
	const struct vmc_endpoint_link *link =
		&endpoint->links[le32toh(news->id.link) % VMC_MAX_LINKS];
	struct host_circuit *circuit;
	int error;

	if (news->socket < 0 || !link->generation || link->tx_fd < 0)
		return -ECONNRESET;
	circuit = calloc(1, sizeof(*circuit));
	if (!circuit)
		return -ENOMEM;
	circuit->mapped.connection.transport = &transport;
	circuit->mapped.connection.fd = news->socket;
	circuit->mapped.ops = &ops;
	circuit->endpoint = endpoint;
	circuit->id = news->id;
	circuit->generation = link->generation;
	circuit->set_fd = -1;
	circuit->self_fd = -1;
	error = map_all(circuit, link, news);
	if (error) {
		free_circuit(circuit);
		return error;
	}
	pthread_mutex_lock(&endpoint->lock);
	endpoint->nr_connections++;
	pthread_mutex_unlock(&endpoint->lock);
	news->socket = -1;
	*ret_connection = &circuit->mapped.connection;
	return 0;
}

/**
 * vmc_host_circuit_abort - end a connection that nobody had
 * @connection: from vmc_host_circuit_open(); freed. The peer reads a reset.
 */
void vmc_host_circuit_abort(struct vmc_connection *connection)
{
	say(circuit_of(connection), VMC_CTL_RST);
	destroy(connection);
}
