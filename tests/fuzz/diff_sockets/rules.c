// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which operations make sense where they stand, and what kind of call each is.
 * Left out is what two sides would rightly answer in two ways:
 *
 * - a second call that moves data on an end while one waits there, for which of
 *   them gets what is chance
 * - poll() that waits, and another call that does, on one socket: if the other
 *   is the first to run poll() finds nothing and waits on
 * - bulk to whom poll() waits for: it is received before who was woken looks
 * - closing a descriptor that a poll() waits for: it looks for it again when it
 *   is woken, by whatever
 * - receivers that wait for less than SO_RCVLOWAT says: TCP does not wake them
 *   before there is more than they want (doc/socket-semantics.md)
 * - receiving while a buffer is full: their sizes differ. DRAIN empties it
 * - several messages in one call to somebody who waits for the first, or will
 *   reset: how many get through is chance
 * - a port that had a connection: TCP's connections have it, those in
 *   TIME_WAIT, too, circuits do not
 * - a connect() to ::1 after one to ::ffff:127.0.0.1: TCP keeps to IPv4's
 *   functions then, and its SYN reaches nobody
 * - TCP_USER_TIMEOUT so short that a full buffer lasts longer; small buffers;
 *   TCP_NOTSENT_LOWAT, for which TCP counts what its numbers are by chance once
 *   a socket was disconnected
 * - a socket that connects to itself, and two of one name to one other: TCP
 *   knows simultaneous opens and looks for such pairs, circuits do not
 * - shutdown() while TCP's last FIN waits behind a full buffer, and close() and
 *   shutdown() that would make one wait there while a poll() waits for it: the
 *   circuit's is seen at once
 * - MSG_EOR where TCP holds something back: it sends what is before the mark
 * - urgent bytes while a buffer is full, or several in one call: which of them
 *   is marked when the receiver looks is chance. splice() of a stream that has
 *   had some: TCP stops before them and says 0, a circuit passes over them. To
 *   who has shut down reading: TCP marks them before it resets
 *
 * What follows from a circuit's nature stands in doc/socket-semantics.md.
 */
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "datagram.h"
#include "rules.h"

/**
 * diff_rules_is_send - whether an operation puts bytes into a stream
 * @kind: of it
 */
bool diff_rules_is_send(enum diff_kind kind)
{
	return kind == DIFF_SEND || kind == DIFF_SPLICE_IN ||
	       kind == DIFF_SENDFILE;
}

/**
 * diff_rules_is_receive - whether an operation takes bytes out of a stream
 * @kind: of it
 */
bool diff_rules_is_receive(enum diff_kind kind)
{
	return kind == DIFF_RECV || kind == DIFF_SPLICE_OUT;
}

/* Flags count only where the call has any. */
static int flags_of(const struct diff_operation *operation)
{
	int way = operation->argument[3];

	if (operation->kind != DIFF_SEND && operation->kind != DIFF_RECV)
		return 0;
	return way == 1 || way == 2 ? 0 : operation->argument[2];
}

/**
 * diff_rules_moves - whether the stream goes on by what the call returned
 * @call: one that sends or receives
 */
bool diff_rules_moves(const struct diff_call *call)
{
	return call->operation.kind != DIFF_RECV ||
	       !(flags_of(&call->operation) &
		 (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE));
}

static bool call_waits(const struct diff_operation *operation, int fd)
{
	switch ((int)operation->kind) {
	case DIFF_POLL:
		return operation->argument[2] != 0;
	case DIFF_CONNECT:
	case DIFF_CONNECT_PORT:
	case DIFF_ACCEPT:
	case DIFF_SEND:
	case DIFF_RECV:
	case DIFF_SPLICE_IN:
	case DIFF_SPLICE_OUT:
	case DIFF_SENDFILE:
		return !(flags_of(operation) & MSG_DONTWAIT) &&
		       !(fcntl(fd, F_GETFL) & O_NONBLOCK);
	default:
		return false;
	}
}

/**
 * diff_rules_may_block - whether a call needs a thread of its own
 * @call: on either side
 */
bool diff_rules_may_block(const struct diff_call *call)
{
	return call_waits(&call->operation, call->fd);
}

static bool waits_for_turns(const struct diff_world *world,
			    const struct diff_operation *operation)
{
	const struct diff_slot *slot = &world->slots[operation->argument[0]];

	return call_waits(operation, slot->fd[DIFF_RIGHT]) &&
	       (operation->kind == DIFF_POLL ?
		world->nr_others_waiting[slot->socket] :
		world->nr_polls_waiting[slot->socket]);
}

static bool is_datagram(const struct diff_world *world,
			const struct diff_operation *operation)
{
	const struct diff_slot *slot;

	if (!diff_slot_is_open(world, operation->argument[0]))
		return false;
	slot = &world->slots[operation->argument[0]];
	return slot->connection && slot->connection->is_datagram;
}

/**
 * diff_rules_is_refused - whether a circuit answers EOPNOTSUPP
 * @world: in which
 * @operation: that makes sense
 *
 * Whatever the socket's state, and before TCP would say anything else.
 */
bool diff_rules_is_refused(const struct diff_world *world,
			   const struct diff_operation *operation)
{
	if (!world->has_circuits || is_datagram(world, operation))
		return false;
	return operation->kind == DIFF_SET &&
	       diff_option_is_refused(operation->argument[1]);
}

static int state_of(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t bytes = sizeof(info);

	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes);
	return info.tcpi_state;
}

/*
 * Whether nothing at the other end answers to the first of several messages,
 * or of several pieces, before or after the next is sent.
 */
static bool is_calm(const struct diff_world *world, int sender)
{
	int receiver = diff_rules_other_end(world, sender);

	return receiver >= 0 &&
	       !diff_poll_mask(world->slots[receiver].fd[DIFF_RIGHT],
			       POLLRDHUP);
}

/* Whether the other end has shut down reading, or is over. */
static bool is_deaf(const struct diff_world *world, int sender)
{
	return diff_rules_other_end(world, sender) >= 0 &&
	       !is_calm(world, sender);
}

/* Whether a poll() waits for what comes to the other end. */
static bool is_polled(const struct diff_world *world, int sender)
{
	int receiver = diff_rules_other_end(world, sender);

	return receiver >= 0 && world->nr_polls_waiting[
					world->slots[receiver].socket];
}

static bool holds_back(int fd)
{
	int is_corked = 0, unsent = 0;
	socklen_t bytes = sizeof(is_corked);

	getsockopt(fd, IPPROTO_TCP, TCP_CORK, &is_corked, &bytes);
	ioctl(fd, SIOCOUTQNSD, &unsent);
	return is_corked || unsent;
}

static bool send_makes_sense(const struct diff_world *world,
			     const struct diff_operation *operation)
{
	const struct diff_slot *slot = &world->slots[operation->argument[0]];
	const struct diff_connection *connection = slot->connection;

	if (!connection)
		return operation->kind != DIFF_FILL &&
		       operation->kind != DIFF_BULK;
	if (connection->nr_sending[slot->end])
		return false;
	if (operation->kind == DIFF_BULK)
		return diff_is_even(slot, slot->end) &&
		       !is_polled(world, operation->argument[0]) &&
		       is_calm(world, operation->argument[0]) &&
		       !(fcntl(slot->fd[DIFF_RIGHT], F_GETFL) & O_NONBLOCK);
	if (operation->kind == DIFF_SEND && operation->argument[3] == 5 &&
	    !is_calm(world, operation->argument[0]))
		return false;
	if (flags_of(operation) & MSG_OOB &&
	    (operation->argument[3] == 5 || connection->is_full[slot->end] ||
	     connection->nr_splicing[!slot->end] ||
	     is_deaf(world, operation->argument[0]) ||
	     connection->nr_urgent[slot->end] == DIFF_MAX_URGENT))
		return false;
	if (flags_of(operation) & MSG_EOR && holds_back(slot->fd[DIFF_RIGHT]))
		return false;
	if (operation->kind == DIFF_FILL)
		return true;
	if (connection->is_full[slot->end])
		return operation->kind == DIFF_SEND ||
		       operation->kind == DIFF_FORK_SEND ||
		       fcntl(slot->fd[DIFF_RIGHT], F_GETFL) & O_NONBLOCK;
	return diff_available(connection, slot->end, DIFF_RIGHT) +
	       (unsigned int)operation->argument[1] <=
	       DIFF_MAX_UNDER_WAY;
}

/* What SO_RCVLOWAT says, of one that waits or would. */
static bool is_low(const struct diff_operation *operation, int fd)
{
	int low = 1;
	socklen_t bytes = sizeof(low);

	getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, &bytes);
	return call_waits(operation, fd) &&
	       (operation->kind == DIFF_SPLICE_OUT ? low > 1 :
						     low > operation->argument[1]);
}

static bool receive_makes_sense(const struct diff_world *world,
				const struct diff_operation *operation)
{
	const struct diff_slot *slot = &world->slots[operation->argument[0]];

	if (!slot->connection)
		return operation->kind != DIFF_DRAIN;
	if (slot->connection->nr_receiving[slot->end] ||
	    (operation->kind != DIFF_DRAIN &&
	     is_low(operation, slot->fd[DIFF_RIGHT])))
		return false;
	if (operation->kind == DIFF_SPLICE_OUT &&
	    slot->connection->nr_urgent[!slot->end])
		return false;
	/* How many are passed over by what drops them is not to be seen. */
	if (flags_of(operation) & MSG_TRUNC && !(flags_of(operation) & MSG_PEEK)
	    && slot->connection->nr_urgent[!slot->end])
		return false;
	return operation->kind == DIFF_DRAIN ||
	       diff_is_even(slot, !slot->end);
}

/* Of both directions TCP's last FIN, behind a full buffer perhaps. */
static bool is_fin_on_its_way(const struct diff_slot *slot)
{
	int state = state_of(slot->fd[DIFF_RIGHT]);

	return state == TCP_CLOSING || state == TCP_LAST_ACK;
}

/* Whether its end would come after much else, and is polled for. */
static bool is_late_end(const struct diff_world *world, int sender)
{
	const struct diff_slot *slot = &world->slots[sender];

	return slot->connection && slot->connection->is_full[slot->end] &&
	       is_polled(world, sender);
}

static bool is_receiving(const struct diff_slot *slot)
{
	return slot->connection && slot->connection->nr_receiving[slot->end];
}

/**
 * diff_rules_makes_sense - whether to play an operation
 * @world: at rest
 * @operation: as it was written or drawn, unchecked
 */
bool diff_rules_makes_sense(const struct diff_world *world,
			    const struct diff_operation *operation)
{
	int first = operation->argument[0], second = operation->argument[1];
	bool is_new = second >= 0 && second < DIFF_NR_SLOTS &&
		      !diff_slot_is_open(world, second) &&
		      !world->slots[second].is_promised;

	switch ((int)operation->kind) {
	case DIFF_SOCKET:
	case DIFF_DATAGRAM:
		return first >= 0 && first < DIFF_NR_SLOTS &&
		       !diff_slot_is_open(world, first) &&
		       !world->slots[first].is_promised;
	case DIFF_FORK_HOLD:
	case DIFF_FORK_END:
	case DIFF_SELECT:
	case DIFF_EPOLL_WAIT:
	case DIFF_INTERRUPT:
	case DIFF_SIGIO_WAIT:
		return true;
	}
	if (!diff_slot_is_open(world, first) ||
	    waits_for_turns(world, operation))
		return false;
	switch ((int)operation->kind) {
	case DIFF_ACCEPT:
	case DIFF_DUP:
	case DIFF_PASS:
		return is_new;
	}
	if (is_datagram(world, operation))
		return diff_datagram_makes_sense(world, operation);
	switch ((int)operation->kind) {
	case DIFF_SEND_TO:
	case DIFF_SEND_PARTS:
		return false;
	case DIFF_SET:
		return !diff_option_is_narrow(second, operation->argument[2]) &&
		       !(diff_option_is_low_water(second) &&
			 is_receiving(&world->slots[first]));
	case DIFF_CLOSE:
		return !world->nr_polls_waiting[world->slots[first].socket] &&
		       !is_late_end(world, first);
	case DIFF_BIND:
		return operation->argument[2] < 0 ||
		       !world->is_port_used[
				world->places[DIFF_RIGHT].first_port +
				operation->argument[2] % DIFF_NR_PORTS];
	case DIFF_LISTEN:
		return state_of(world->slots[first].fd[DIFF_RIGHT]) ==
		       TCP_LISTEN || !world->is_port_used[diff_port_of(
			world->slots[first].fd[DIFF_RIGHT], false)];
	case DIFF_CONNECT:
	case DIFF_CONNECT_PORT:
		return diff_connect_makes_sense(world, operation);
	case DIFF_SHUTDOWN:
		return !is_fin_on_its_way(&world->slots[first]) &&
		       !is_late_end(world, first);
	case DIFF_SEND:
	case DIFF_SPLICE_IN:
	case DIFF_SENDFILE:
	case DIFF_FORK_SEND:
	case DIFF_BULK:
	case DIFF_FILL:
		return send_makes_sense(world, operation);
	case DIFF_RECV:
	case DIFF_SPLICE_OUT:
	case DIFF_DRAIN:
		return receive_makes_sense(world, operation);
	default:
		return true;
	}
}

/**
 * diff_rules_set_connection - what a socket is connected by from now on
 * @world: which
 * @slot: of the socket; others may have it, too
 * @connection: or NULL
 */
void diff_rules_set_connection(struct diff_world *world, int slot,
			       struct diff_connection *connection)
{
	unsigned int socket = world->slots[slot].socket, i;

	for (i = 0; i < DIFF_NR_SLOTS; i++) {
		if (world->slots[i].socket != socket)
			continue;
		world->slots[i].connection = connection;
		world->slots[i].end = 0;
	}
}

/**
 * diff_rules_prepare - what must be known before an operation is played
 * @world: at rest
 * @operation: that makes sense
 */
void diff_rules_prepare(struct diff_world *world,
			const struct diff_operation *operation)
{
	struct diff_slot *slot = &world->slots[operation->argument[0]];
	struct diff_connection *connection = slot->connection;
	unsigned int side, i;

	if (is_datagram(world, operation)) {
		diff_datagram_prepare(world, operation);
		return;
	}
	switch ((int)operation->kind) {
	case DIFF_CONNECT:
		world->is_port_used[diff_port_of(
			world->slots[operation->argument[1]].fd[DIFF_RIGHT],
			false)] = true;
		/* fall through */
	case DIFF_CONNECT_PORT:
		world->is_port_used[diff_port_of(slot->fd[DIFF_RIGHT],
						 false)] = true;
		world->is_port_used[0] = false;
		for (i = 0; operation->argument[2] == 2 && i < DIFF_NR_SLOTS;
		     i++)
			if (world->slots[i].socket == slot->socket)
				world->slots[i].has_dialled_mapped = true;
		if (state_of(slot->fd[DIFF_RIGHT]) != TCP_CLOSE)
			break;
		diff_rules_set_connection(world, operation->argument[0],
					  diff_connection_add(world));
		slot->connection->before = connection;
		break;
	case DIFF_SEND:
		/* Before it is sent: somebody may wait for it. */
		if (connection && flags_of(operation) & MSG_OOB &&
		    operation->argument[1] > 0)
			connection->urgent[slot->end][
				connection->nr_urgent[slot->end]++] =
				connection->sent[slot->end][DIFF_RIGHT] +
				(unsigned int)operation->argument[1] - 1;
		break;
	case DIFF_FILL:
	case DIFF_DRAIN:
		if (operation->kind == DIFF_FILL)
			connection->has_been_full[slot->end] =
				connection->is_full[slot->end] = true;
		else
			connection->is_full[!slot->end] = false;
		break;
	case DIFF_CLOSE:
		for (side = 0; connection && !slot->end &&
		     side < DIFF_NR_SIDES; side++)
			if (!connection->client_port[side])
				connection->client_port[side] = (uint16_t)
					diff_port_of(slot->fd[side], false);
		break;
	}
}

/**
 * diff_rules_other_end - a slot that has the other end of a connection
 * @world: which
 * @slot: open
 *
 * Return: its number, or -1.
 */
int diff_rules_other_end(const struct diff_world *world, int slot)
{
	const struct diff_slot *from = &world->slots[slot];
	int i;

	for (i = 0; i < DIFF_NR_SLOTS; i++)
		if (world->slots[i].fd[DIFF_LEFT] >= 0 &&
		    world->slots[i].connection == from->connection &&
		    world->slots[i].end != from->end &&
		    !from->connection->nr_receiving[!from->end])
			return i;
	return -1;
}
