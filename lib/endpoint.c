// SPDX-License-Identifier: MIT
/*
 * A host process as an endpoint: its connection to the switch, and what the
 * switch tells it. Owns the sockets and the links; what is dialled is dial.c's,
 * what is accepted listener.c's. The messages are those of guests, see
 * "Endpoints" in doc/protocol.md.
 */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/endpoint.h"
#include "lib/letter.h"

/* The switch answers at once; so long, it is stuck, ms. */
#define GREETING_TIMEOUT_MS	5000

/**
 * vmc_endpoint_send - send a request to the switch
 * @endpoint: open
 * @type: VMC_MSG_, below 64
 * @body: as long as the type says, in wire order
 *
 * Any thread. Waits while the switch is busy.
 *
 * Return: 0 or -ENOTCONN.
 */
int vmc_endpoint_send(struct vmc_endpoint *endpoint, unsigned int type,
		      const void *body)
{
	return vmc_letter_send(endpoint->fd, type, body);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_link(struct vmc_endpoint_link *link)
{
	link->generation = 0;
	close_fd(&link->tx_fd);
	close_fd(&link->rx_fd);
	close_fd(&link->wake_fd);
}

static int read_letter(struct vmc_endpoint *endpoint, struct vmc_letter *letter)
{
	int error = vmc_letter_read(endpoint->fd, letter);

	if (error == -ENOTCONN)
		endpoint->is_lost = true;
	return error;
}

/**
 * vmc_endpoint_close_circuit - CLOSE, or nothing if its link is over
 * @endpoint: open; any thread
 * @id: the circuit
 * @generation: of its link, when the circuit was new
 */
void vmc_endpoint_close_circuit(struct vmc_endpoint *endpoint,
				const struct vmc_circuit_id *id,
				uint32_t generation)
{
	const struct vmc_close message = { .id = *id };

	/* So that LINK_RELEASED, after which no CLOSE may come, is not sent. */
	pthread_mutex_lock(&endpoint->lock);
	if (endpoint->links[le32toh(id->link)].generation == generation)
		vmc_endpoint_send(endpoint, VMC_MSG_CLOSE, &message);
	pthread_mutex_unlock(&endpoint->lock);
}

/**
 * vmc_endpoint_drop - a circuit comes too late for who wanted it
 * @endpoint: open
 * @news: the circuit, not mapped
 *
 * Its peer sees that the socket closes, and hears from the switch.
 */
void vmc_endpoint_drop(struct vmc_endpoint *endpoint,
		       struct vmc_circuit_news *news)
{
	struct vmc_connection *connection;

	/* Mapped once, so that the peer reads a reset and not silence. */
	if (!vmc_host_circuit_open(endpoint, news, &connection)) {
		vmc_host_circuit_abort(connection);
		return;
	}
	close_fd(&news->socket);
	vmc_endpoint_close_circuit(
		endpoint, &news->id,
		endpoint->links[le32toh(news->id.link)].generation);
}

/* Keep the descriptor for poll loops true. */
static void count_pending(struct vmc_endpoint *endpoint, int change)
{
	unsigned int before = endpoint->nr_pending;
	uint64_t count = 1;
	ssize_t done = 0;

	endpoint->nr_pending += (unsigned int)change;
	if (!before && endpoint->nr_pending)
		done = write(endpoint->pending_fd, &count, sizeof(count));
	else if (before && !endpoint->nr_pending)
		done = read(endpoint->pending_fd, &count, sizeof(count));
	(void)done;
}

/**
 * vmc_endpoint_forget - a circuit that was offered waits no more
 * @listener: where it waited
 * @pending: freed, and its socket closed unless a connection has it
 */
void vmc_endpoint_forget(struct vmc_listener *listener,
			 struct vmc_pending *pending)
{
	TAILQ_REMOVE(&listener->pending, pending, entry);
	count_pending(listener->endpoint, -1);
	close_fd(&pending->news.socket);
	free(pending);
}

static void take_link_up(struct vmc_endpoint *endpoint, struct vmc_letter *letter)
{
	const struct vmc_link_up *up = &letter->msg.link_up;
	struct vmc_endpoint_link *link =
		&endpoint->links[le32toh(up->link) % VMC_MAX_LINKS];

	pthread_mutex_lock(&endpoint->lock);
	link->generation = le32toh(up->generation);
	link->tx_fd = letter->fds[0];
	link->rx_fd = letter->fds[1];
	link->wake_fd = letter->fds[2];
	link->end = !!(le32toh(up->flags) & VMC_LINK_END_1);
	pthread_mutex_unlock(&endpoint->lock);
	memset(letter->fds, -1, sizeof(letter->fds));
}

/* Whom the link led to has gone, and every circuit over it. */
static void forget_offers(struct vmc_endpoint *endpoint, __le32 link)
{
	struct vmc_listener *listener;
	struct vmc_pending *pending, *next;

	LIST_FOREACH(listener, &endpoint->listeners, entry) {
		for (pending = TAILQ_FIRST(&listener->pending); pending;
		     pending = next) {
			next = TAILQ_NEXT(pending, entry);
			if (pending->news.id.link == link)
				vmc_endpoint_forget(listener, pending);
		}
	}
}

static void take_link_down(struct vmc_endpoint *endpoint,
			   const struct vmc_link_down *down)
{
	const struct vmc_link_released released = {
		.link = down->link,
		.generation = down->generation,
	};
	struct vmc_endpoint_link *link =
		&endpoint->links[le32toh(down->link) % VMC_MAX_LINKS];

	forget_offers(endpoint, down->link);
	pthread_mutex_lock(&endpoint->lock);
	close_link(link);
	vmc_endpoint_send(endpoint, VMC_MSG_LINK_RELEASED, &released);
	pthread_mutex_unlock(&endpoint->lock);
}

static void take_offer(struct vmc_endpoint *endpoint, struct vmc_letter *letter)
{
	const struct vmc_offer *offer = &letter->msg.offer;
	struct vmc_circuit_news news = {
		.id = offer->id,
		.place = offer->place,
		.socket = letter->fds[0],
	};
	struct vmc_pending *pending = calloc(1, sizeof(*pending));
	struct vmc_listener *listener;

	letter->fds[0] = -1;
	LIST_FOREACH(listener, &endpoint->listeners, entry) {
		if (listener->id == le32toh(offer->listener))
			break;
	}
	if (!listener || !pending) {
		free(pending);
		vmc_endpoint_drop(endpoint, &news);
		return;
	}
	pending->news = news;
	pending->remote = offer->remote;
	TAILQ_INSERT_TAIL(&listener->pending, pending, entry);
	count_pending(endpoint, 1);
}

static struct vmc_awaited *await_answer(struct vmc_endpoint *endpoint,
					unsigned int type, __le32 raw_id,
					__le32 raw_error)
{
	struct vmc_awaited *awaited = &endpoint->awaited;

	if (awaited->type != type || awaited->id != le32toh(raw_id))
		return NULL;
	awaited->is_answered = true;
	awaited->error = (int)le32toh(raw_error);
	return awaited;
}

static void take_connected(struct vmc_endpoint *endpoint,
			   struct vmc_letter *letter)
{
	const struct vmc_connected *connected = &letter->msg.connected;
	struct vmc_circuit_news news = {
		.id = connected->id,
		.place = connected->place,
		.socket = letter->fds[0],
	};
	struct vmc_awaited *awaited =
		await_answer(endpoint, VMC_MSG_CONNECT, connected->cookie, 0);

	letter->fds[0] = -1;
	if (awaited)
		awaited->news = news;
	else
		vmc_endpoint_drop(endpoint, &news);
}

static void take(struct vmc_endpoint *endpoint, struct vmc_letter *letter)
{
	const struct vmc_msg *msg = &letter->msg;

	switch (le16toh(msg->type)) {
	case VMC_MSG_WELCOME:
		endpoint->welcome = msg->welcome;
		await_answer(endpoint, VMC_MSG_HELLO, 0, msg->welcome.error);
		break;
	case VMC_MSG_LISTENING:
		await_answer(endpoint, VMC_MSG_LISTEN, msg->listening.listener,
			     msg->listening.error);
		break;
	case VMC_MSG_LINK_UP:
		take_link_up(endpoint, letter);
		break;
	case VMC_MSG_LINK_DOWN:
		take_link_down(endpoint, &msg->link_down);
		break;
	case VMC_MSG_OFFER:
		take_offer(endpoint, letter);
		break;
	case VMC_MSG_CONNECTED:
		take_connected(endpoint, letter);
		break;
	case VMC_MSG_FAILED:
		await_answer(endpoint, VMC_MSG_CONNECT, msg->failed.cookie,
			     msg->failed.error);
		break;
	default:
		break;
	}
	vmc_letter_close(letter);
}

/**
 * vmc_endpoint_receive - wait for a message from the switch, and handle it
 * @endpoint: open
 * @timeout_ms: for how long at most; 0: not at all, negative: for ever
 *
 * Return: 0, -EAGAIN after the timeout, -EINTR, -ENOTCONN when the switch is
 * gone.
 */
int vmc_endpoint_receive(struct vmc_endpoint *endpoint, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = endpoint->fd, .events = POLLIN };
	struct vmc_letter letter;
	int error;

	if (endpoint->is_lost)
		return -ENOTCONN;
	if (timeout_ms && poll(&poll_fd, 1, timeout_ms) < 0)
		return -errno;
	error = read_letter(endpoint, &letter);
	if (!error)
		take(endpoint, &letter);
	return error;
}

static int connect_to(const char *path, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error, fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		error = -errno;
		close(fd);
		return error;
	}
	*ret_fd = fd;
	return 0;
}

/* ATTACH comes first; its epoch goes back. */
static int greet(struct vmc_endpoint *endpoint)
{
	struct pollfd poll_fd = { .fd = endpoint->fd, .events = POLLIN };
	struct vmc_hello hello = { .version = htole32(VMC_PROTOCOL_VERSION) };
	struct vmc_letter letter;
	int error;

	if (poll(&poll_fd, 1, GREETING_TIMEOUT_MS) < 0)
		return -errno;
	error = read_letter(endpoint, &letter);
	/* Who is turned away sees the socket end. */
	if (error)
		return error == -ENOTCONN ? -EACCES : -ETIMEDOUT;
	if (le16toh(letter.msg.type) != VMC_MSG_ATTACH ||
	    le32toh(letter.msg.attach.version) != VMC_PROTOCOL_VERSION)
		return -EPROTONOSUPPORT;
	hello.epoch = letter.msg.attach.epoch;
	endpoint->awaited.type = VMC_MSG_HELLO;
	error = vmc_endpoint_send(endpoint, VMC_MSG_HELLO, &hello);
	while (!error && !endpoint->awaited.is_answered)
		error = vmc_endpoint_receive(endpoint, GREETING_TIMEOUT_MS);
	if (error == -EAGAIN)
		return -ETIMEDOUT;
	return error ? error : -endpoint->awaited.error;
}

static int watch(struct vmc_endpoint *endpoint, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(endpoint->set_fd, EPOLL_CTL_ADD, fd, &event) ?
	       -errno : 0;
}

static int open_fds(struct vmc_endpoint *endpoint)
{
	int error;

	endpoint->pending_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	endpoint->set_fd = epoll_create1(EPOLL_CLOEXEC);
	if (endpoint->pending_fd < 0 || endpoint->set_fd < 0)
		return -errno;
	error = watch(endpoint, endpoint->fd);
	return error ? error : watch(endpoint, endpoint->pending_fd);
}

static void destroy(struct vmc_endpoint *endpoint)
{
	unsigned int i;

	vmc_lookout_stop(endpoint);
	for (i = 0; i < VMC_MAX_LINKS; i++)
		close_link(&endpoint->links[i]);
	close_fd(&endpoint->fd);
	close_fd(&endpoint->set_fd);
	close_fd(&endpoint->pending_fd);
	pthread_mutex_destroy(&endpoint->lock);
	free(endpoint);
}

/**
 * vmc_endpoint_open - become an end of circuits
 * @path: the endpoint's socket, as the switch's configuration has it
 * @ret_endpoint: ended with vmc_endpoint_close()
 *
 * Starts a thread that sleeps until the switch is gone. A child of fork() has
 * no use of the endpoint.
 *
 * Return: 0; connect()'s error when nobody listens there; -EACCES when the
 * switch turned us away, of which its log says why; -EPROTONOSUPPORT when it
 * speaks another version; -ETIMEDOUT, -EINTR, -ENOTCONN when it ends meanwhile,
 * -ENAMETOOLONG, -EMFILE, -ENOMEM.
 */
int vmc_endpoint_open(const char *path, struct vmc_endpoint **ret_endpoint)
{
	struct vmc_endpoint *endpoint = calloc(1, sizeof(*endpoint));
	unsigned int i;
	int error;

	if (!endpoint)
		return -ENOMEM;
	pthread_mutex_init(&endpoint->lock, NULL);
	endpoint->fd = -1;
	endpoint->set_fd = -1;
	endpoint->pending_fd = -1;
	for (i = 0; i < VMC_MAX_LINKS; i++) {
		endpoint->links[i].tx_fd = -1;
		endpoint->links[i].rx_fd = -1;
		endpoint->links[i].wake_fd = -1;
	}
	if (getrandom(&endpoint->next_port, sizeof(endpoint->next_port), 0) < 0)
		endpoint->next_port = 0;
	error = connect_to(path, &endpoint->fd);
	if (!error)
		error = open_fds(endpoint);
	if (!error)
		error = greet(endpoint);
	if (error) {
		destroy(endpoint);
		return error;
	}
	vmc_lookout_start(endpoint);
	*ret_endpoint = endpoint;
	return 0;
}

/**
 * vmc_endpoint_close - leave the switch
 * @endpoint: open; not used afterwards, unless this fails
 *
 * Return: 0; -EBUSY while it has connections (vmc_detach()) or listeners
 * (vmc_unlisten()).
 */
int vmc_endpoint_close(struct vmc_endpoint *endpoint)
{
	bool is_busy;

	pthread_mutex_lock(&endpoint->lock);
	is_busy = !LIST_EMPTY(&endpoint->circuits);
	pthread_mutex_unlock(&endpoint->lock);
	if (is_busy || !LIST_EMPTY(&endpoint->listeners))
		return -EBUSY;
	destroy(endpoint);
	return 0;
}

/**
 * vmc_endpoint_fd - a descriptor for poll loops
 * @endpoint: open
 *
 * When it is readable, call vmc_accept() with no timeout until it says -EAGAIN,
 * for each listener.
 *
 * Return: the descriptor, which ends with the endpoint.
 */
int vmc_endpoint_fd(const struct vmc_endpoint *endpoint)
{
	return endpoint->set_fd;
}
