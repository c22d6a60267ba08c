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

/* Without the switch nobody tells of a peer that died: look so often, ms. */
#define LIVENESS_LOOK_MS	500

struct vmc_host_circuit {
	struct vmc_mapped mapped;	/* its fd is the circuit's socket */
	struct vmc_endpoint *endpoint;
	struct vmc_circuit_id id;
	uint32_t generation;		/* of the link */
	struct vmc_wake_slot *wake;	/* of the link's wake area */
	unsigned int number;		/* of our end */

	/* For poll loops, from the first vmc_fd() on; -1: not yet. */
	int set_fd;			/* epoll: the socket and self_fd */
	int self_fd;			/* eventfd: what we took, not for us */
	unsigned int armed;		/* VMC_WAIT_ bells that are asked for */
	uint64_t silent_since_us;	/* the peer closed the socket; 0: no */

	LIST_ENTRY(vmc_host_circuit) entry;	/* in the endpoint's */
};

static struct vmc_host_circuit *
circuit_of(const struct vmc_connection *connection)
{
	return (struct vmc_host_circuit *)connection;
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
	struct vmc_host_circuit *circuit = circuit_of(&mapped->connection);

	vmc_wake(&circuit->wake->ends[!circuit->number], mapped->connection.fd);
	return 0;
}

static int signal_self(struct vmc_host_circuit *circuit)
{
	const uint64_t count = 1;

	return write(circuit->self_fd, &count, sizeof(count)) < 0 ? -errno : 0;
}

/*
 * In a poll loop -EAGAIN is a promise that the descriptor will fire, and that
 * it does not for what is over. The bells for data and for space share it.
 */
static void rearm(struct vmc_host_circuit *circuit, unsigned int what)
{
	struct vmc_connection *connection = &circuit->mapped.connection;
	unsigned int others = circuit->armed & ~what;
	char bells[256];
	uint64_t count;
	ssize_t done;

	done = recv(connection->fd, bells, sizeof(bells), MSG_DONTWAIT);
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

/* Whether the switch is gone, which would tell of a peer that is. */
static bool is_adrift(const struct vmc_host_circuit *circuit)
{
	return __atomic_load_n(&circuit->endpoint->is_adrift, __ATOMIC_SEQ_CST);
}

/* The peer's socket is closed. 0: and that was told; else it is a loss. */
static int check_last_word(struct vmc_host_circuit *circuit)
{
	if (vmc_end_peer_flags(&circuit->mapped.end) &
	    (VMC_CTL_GONE | VMC_CTL_RST))
		return 0;
	return vmc_mapped_fail(&circuit->mapped, ECONNRESET);
}

/*
 * The peer closed its socket without a last word, which wakes every poll(): the
 * switch has it, if there is one.
 */
static int await_last_word(struct vmc_host_circuit *circuit)
{
	uint64_t silent_us = vmc_now_us() - circuit->silent_since_us;

	if (!is_adrift(circuit) && silent_us < LIVENESS_LOOK_MS * 1000)
		return -EAGAIN;
	/* The word came before the end, if at all. */
	return check_last_word(circuit) ?: -EAGAIN;
}

static int look(struct vmc_mapped *mapped, unsigned int what)
{
	struct vmc_host_circuit *circuit = circuit_of(&mapped->connection);
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
static void check_alive(struct vmc_host_circuit *circuit)
{
	struct pollfd poll_fd = { .fd = circuit->mapped.connection.fd };

	/* No events: whether the other end is closed. */
	if (poll(&poll_fd, 1, 0) > 0)
		check_last_word(circuit);
}

static int sleep_for(struct vmc_connection *connection, unsigned int what,
		     int timeout_ms)
{
	struct vmc_host_circuit *circuit = circuit_of(connection);
	struct vmc_wakeup *own = &circuit->wake->ends[circuit->number];
	uint32_t seen = vmc_wake_seen(own);
	bool is_short;
	int error;

	ask(&circuit->mapped.end, what);
	if (vmc_mapped_probe(connection, what))
		return 0;
	is_short = !is_adrift(circuit) ||
		   (timeout_ms >= 0 && timeout_ms < LIVENESS_LOOK_MS);
	error = vmc_wake_sleep(own, seen,
			       is_short ? timeout_ms : LIVENESS_LOOK_MS);
	if (error != -ETIMEDOUT)
		return error;
	if (!is_short)
		check_alive(circuit);
	return 0;
}

static void say(struct vmc_host_circuit *circuit, uint32_t flags)
{
	if (vmc_end_set_flags(&circuit->mapped.end, flags))
		ring(&circuit->mapped);
}

static int shut_down(struct vmc_connection *connection)
{
	say(circuit_of(connection), VMC_CTL_FIN);
	return 0;
}

static void *map_page(int fd, uint64_t offset, int protection)
{
	void *page = mmap(NULL, VMC_PAGE_BYTES, protection, MAP_SHARED, fd,
			  (off_t)offset);

	return page == MAP_FAILED ? NULL : page;
}

static void *map_ctl(int fd, uint32_t slot, int protection)
{
	return map_page(fd, VMC_CTL_OFFSET + (uint64_t)slot * VMC_PAGE_BYTES,
			protection);
}

#define WAKE_SLOTS_PER_PAGE	(VMC_PAGE_BYTES / sizeof(struct vmc_wake_slot))

static struct vmc_wake_slot *map_wake(int fd, uint32_t slot)
{
	struct vmc_wake_slot *slots =
		map_page(fd, slot / WAKE_SLOTS_PER_PAGE * VMC_PAGE_BYTES,
			 PROT_READ | PROT_WRITE);

	return slots ? slots + slot % WAKE_SLOTS_PER_PAGE : NULL;
}

static void unmap_wake(struct vmc_wake_slot *wake)
{
	/* The page that it lies in. */
	if (wake)
		munmap((void *)((uintptr_t)wake &
				~(uintptr_t)(VMC_PAGE_BYTES - 1)),
		       VMC_PAGE_BYTES);
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

static void free_circuit(struct vmc_host_circuit *circuit)
{
	const struct vmc_end *end = &circuit->mapped.end;

	unmap(end->own, VMC_PAGE_BYTES);
	unmap(end->peer, VMC_PAGE_BYTES);
	unmap(end->tx, 2 * (size_t)end->tx_bytes);
	unmap(end->rx, 2 * (size_t)end->rx_bytes);
	unmap_wake(circuit->wake);
	close_fd(circuit->set_fd);
	close_fd(circuit->self_fd);
	free(circuit);
}

static int destroy(struct vmc_connection *connection)
{
	struct vmc_host_circuit *circuit = circuit_of(connection);
	struct vmc_endpoint *endpoint = circuit->endpoint;
	uint32_t flags = VMC_CTL_FIN | VMC_CTL_GONE;

	if (vmc_end_readable(&circuit->mapped.end))
		flags |= VMC_CTL_RST;
	say(circuit, flags);
	close(connection->fd);
	vmc_endpoint_close_circuit(endpoint, &circuit->id,
				   circuit->generation);
	pthread_mutex_lock(&endpoint->lock);
	LIST_REMOVE(circuit, entry);
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
	struct vmc_host_circuit *circuit = circuit_of(connection);
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
	vmc_wake_by(&circuit->wake->ends[circuit->number],
		    VMC_WAITS_FUTEX | VMC_WAITS_SOCKET);
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

static int map_all(struct vmc_host_circuit *circuit,
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
	circuit->wake = map_wake(link->wake_fd, slot);
	if (!end->own || !end->peer || !end->tx || !end->rx || !circuit->wake)
		return -ENOMEM;
	vmc_end_resume(end, end->own, end->peer, end->tx, tx_bytes, end->rx,
		       rx_bytes);
	circuit->number = link->end;
	vmc_wake_by(&circuit->wake->ends[link->end], VMC_WAITS_FUTEX);
	return 0;
}

/**
 * vmc_host_circuit_open - map a circuit
 * @endpoint: open, and longer so than the connection
 * @news: the circuit; its socket is taken over on success
 * @ret_connection: its transport's destroy() ends it
 *
 * Return: 0, -ECONNRESET when the circuit is over already, -EMFILE when the
 * link came and there was no room for its descriptors, -ENOMEM.
 */
int vmc_host_circuit_open(struct vmc_endpoint *endpoint,
			  struct vmc_circuit_news *news,
			  struct vmc_connection **ret_connection)
{
	const struct vmc_endpoint_link *link =
		&endpoint->links[le32toh(news->id.link) % VMC_MAX_LINKS];
	struct vmc_host_circuit *circuit;
	int error;

	if (news->socket < 0 || !link->generation)
		return -ECONNRESET;
	if (link->tx_fd < 0 || link->rx_fd < 0 || link->wake_fd < 0)
		return -EMFILE;
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
	LIST_INSERT_HEAD(&endpoint->circuits, circuit, entry);
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

/**
 * vmc_host_circuit_nudge_all - have everybody who sleeps look again
 * @endpoint: any thread's
 */
void vmc_host_circuit_nudge_all(struct vmc_endpoint *endpoint)
{
	struct vmc_host_circuit *circuit;

	pthread_mutex_lock(&endpoint->lock);
	LIST_FOREACH(circuit, &endpoint->circuits, entry)
		vmc_wake(&circuit->wake->ends[circuit->number], -1);
	pthread_mutex_unlock(&endpoint->lock);
}
