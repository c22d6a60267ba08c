// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which operations of datagram sockets make sense where they stand. Left out is
 * what UDP and a circuit would rightly answer in two ways:
 *
 * - more than a receive buffer takes: UDP loses it, a circuit makes it wait
 * - datagrams of several flows in another order than that of their coming:
 *   DRAIN alone looks at a socket where such wait
 * - another name while something waits: UDP asks when a datagram comes whose it
 *   is, and the circuit's may come later
 * - several datagrams in one call to nobody: UDP hears of the first before it
 *   sends the second
 * - who is connected to one and sends to another: the other's answers are
 *   thrown away, and a circuit does not tell it so
 * - a connected socket that connects to where no route leads: UDP's next
 *   datagrams but one follow the route that failed, and are lost
 * - a port of several sockets: a flow stays with the one it began with
 *
 * What follows from a circuit's nature stands in doc/socket-semantics.md.
 */
#include <linux/sock_diag.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "actor.h"
#include "datagram.h"
#include "rules.h"

/* UDP's smallest buffer here, of 212,992 bytes; skbs cost more than data. */
#define MOST_WAITING	100000U
#define OVERHEAD	2048U
#define LEAST_PART	100U

#define SETTLE_MS	1000
#define SETTLE_US	300

static bool is_datagram(const struct diff_slot *slot)
{
	return slot->fd[DIFF_RIGHT] >= 0 && slot->connection &&
	       slot->connection->is_datagram;
}

static unsigned int waiting_bytes(const struct diff_slot *slot)
{
	unsigned int memory[SK_MEMINFO_VARS] = { 0 };
	socklen_t bytes = sizeof(memory);

	getsockopt(slot->fd[DIFF_RIGHT], SOL_SOCKET, SO_MEMINFO, memory,
		   &bytes);
	return memory[SK_MEMINFO_RMEM_ALLOC];
}

static bool has_waiting(const struct diff_slot *slot)
{
	return diff_poll_mask(slot->fd[DIFF_RIGHT], POLLIN) & POLLIN;
}

/* The port that an operation sends to, 0 for none, on the right. */
static unsigned int target_of(const struct diff_world *world,
			      const struct diff_operation *operation)
{
	if (operation->kind == DIFF_SEND_TO)
		return diff_port_of(world->slots[
			operation->argument[2]].fd[DIFF_RIGHT], false);
	return diff_port_of(world->slots[
		operation->argument[0]].fd[DIFF_RIGHT], true);
}

static bool is_at(const struct diff_slot *slot, unsigned int port)
{
	return port && is_datagram(slot) &&
	       diff_port_of(slot->fd[DIFF_RIGHT], false) == port;
}

static bool fits(const struct diff_world *world,
		 const struct diff_operation *operation)
{
	unsigned int bytes = (unsigned int)operation->argument[1], cost, i;
	const struct diff_slot *slot;

	cost = bytes + (2 + bytes / LEAST_PART) * OVERHEAD;
	/* A large one by itself. */
	if (bytes > 16384 && operation->kind != DIFF_SEND_PARTS)
		cost = MOST_WAITING;
	for (i = 0; i < DIFF_NR_SLOTS; i++) {
		slot = &world->slots[i];
		if (is_datagram(slot) &&
		    waiting_bytes(slot) + cost > MOST_WAITING)
			return false;
	}
	return true;
}

/* Of IPv6 not every loopback address reaches every socket. */
static bool hears(const struct diff_slot *slot, const struct diff_slot *sender)
{
	unsigned int peer = diff_port_of(slot->fd[DIFF_RIGHT], true);

	return diff_family_of(slot->fd[DIFF_RIGHT]) == AF_INET &&
	       diff_family_of(sender->fd[DIFF_RIGHT]) == AF_INET &&
	       (!peer ||
		peer == diff_port_of(sender->fd[DIFF_RIGHT], false));
}

/* Connected to one, and sends to another. */
static bool is_unfaithful(const struct diff_world *world,
			  const struct diff_operation *operation)
{
	unsigned int peer = diff_port_of(world->slots[
		operation->argument[0]].fd[DIFF_RIGHT], true);

	return peer && peer != target_of(world, operation);
}

static bool send_makes_sense(const struct diff_world *world,
			     const struct diff_operation *operation)
{
	unsigned int port, i;

	if (operation->kind == DIFF_SEND_TO &&
	    (!diff_slot_is_open(world, operation->argument[2]) ||
	     !is_datagram(&world->slots[operation->argument[2]])))
		return false;
	if (operation->kind == DIFF_SEND_TO && is_unfaithful(world, operation))
		return false;
	if (operation->kind == DIFF_SEND_PARTS &&
	    operation->argument[2] < (int)LEAST_PART)
		return false;
	if (!fits(world, operation))
		return false;
	if (operation->kind != DIFF_SEND_PARTS &&
	    (operation->kind != DIFF_SEND || operation->argument[3] != 5))
		return true;
	port = target_of(world, operation);
	for (i = 0; i < DIFF_NR_SLOTS; i++)
		if (is_at(&world->slots[i], port) &&
		    hears(&world->slots[i], &world->slots[
					operation->argument[0]]))
			return true;
	return false;
}

static bool is_joined_by_others(const struct diff_world *world, int slot)
{
	const struct diff_slot *own = &world->slots[slot];
	unsigned int port = diff_port_of(own->fd[DIFF_RIGHT], false), i;

	for (i = 0; i < DIFF_NR_SLOTS; i++)
		if (world->slots[i].socket != own->socket &&
		    is_at(&world->slots[i], port))
			return true;
	return false;
}

static bool is_astray(const struct diff_slot *slot,
		      const struct diff_operation *operation)
{
	return (operation->kind == DIFF_CONNECT ||
		operation->kind == DIFF_CONNECT_PORT) &&
	       diff_address_is_foreign(operation->argument[2]) &&
	       diff_port_of(slot->fd[DIFF_RIGHT], true);
}

static bool is_send(const struct diff_operation *operation)
{
	switch ((int)operation->kind) {
	case DIFF_SEND:
	case DIFF_SPLICE_IN:
	case DIFF_SENDFILE:
	case DIFF_FORK_SEND:
	case DIFF_SEND_TO:
	case DIFF_SEND_PARTS:
		return true;
	default:
		return false;
	}
}

/**
 * diff_datagram_makes_sense - whether to play an operation
 * @world: at rest
 * @operation: on an open slot with a datagram socket
 */
bool diff_datagram_makes_sense(const struct diff_world *world,
			       const struct diff_operation *operation)
{
	int first = operation->argument[0];
	const struct diff_slot *slot = &world->slots[first];

	if (is_send(operation))
		return send_makes_sense(world, operation);
	switch ((int)operation->kind) {
	case DIFF_RECV:
	case DIFF_SPLICE_OUT:
		return !slot->connection->is_mixed &&
		       !slot->connection->nr_receiving[slot->end];
	case DIFF_DRAIN:
		return !slot->connection->nr_receiving[slot->end];
	case DIFF_BIND:
	case DIFF_CONNECT:
	case DIFF_CONNECT_PORT:
	case DIFF_DISCONNECT:
		return !has_waiting(slot) &&
		       !is_joined_by_others(world, first) &&
		       !is_astray(slot, operation) &&
		       (operation->kind != DIFF_CONNECT ||
			diff_slot_is_open(world, operation->argument[1]));
	case DIFF_SET:
		return !diff_option_is_sharing(operation->argument[1]) &&
		       !diff_option_is_narrow(operation->argument[1],
					      operation->argument[2]);
	case DIFF_BULK:
	case DIFF_FILL:
		return false;
	default:
		return true;
	}
}

/* A flow is of two names: who sends by others begins another. */
static unsigned int flow_of(const struct diff_slot *slot,
			    const struct diff_operation *operation)
{
	return slot->connection->nr_names * 4 + 1 +
	       (operation->kind == DIFF_SEND_TO ?
		(unsigned int)operation->argument[3] & 3 : 0) +
	       slot->socket * 4 * DIFF_MAX_OPERATIONS;
}

/* Those whose receive queue it reaches must know of which flow it is. */
static void note_send(struct diff_world *world,
		      const struct diff_operation *operation)
{
	const struct diff_slot *slot = &world->slots[operation->argument[0]];
	unsigned int port = target_of(world, operation);
	unsigned int i, flow = flow_of(slot, operation);
	struct diff_connection *at;

	for (i = 0; i < DIFF_NR_SLOTS; i++) {
		if (!is_at(&world->slots[i], port))
			continue;
		at = world->slots[i].connection;
		if (has_waiting(&world->slots[i]))
			at->is_mixed |= at->flow != flow;
		else
			at->is_mixed = false;
		at->flow = flow;
	}
}

static unsigned int unsent_of(int fd)
{
	unsigned int memory[SK_MEMINFO_VARS] = { 0 };
	socklen_t bytes = sizeof(memory);

	getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &bytes);
	return memory[SK_MEMINFO_WMEM_ALLOC];
}

/*
 * A flow's first datagram goes by way of the switch. Who gets it is asked when
 * it arrives, and whom a signal tells of it: so it has arrived before that is
 * changed.
 */
static void settle(const struct diff_world *world)
{
	long end = diff_milliseconds() + SETTLE_MS;
	const struct diff_slot *slot;
	unsigned int i;

	for (i = 0; i < DIFF_NR_SLOTS; i++) {
		slot = &world->slots[i];
		while (is_datagram(slot) && unsent_of(slot->fd[DIFF_LEFT]) &&
		       !unsent_of(slot->fd[DIFF_RIGHT]) &&
		       diff_milliseconds() < end)
			usleep(SETTLE_US);
	}
}

/**
 * diff_datagram_prepare - what must be known before an operation is played
 * @world: at rest
 * @operation: that makes sense, on a datagram socket
 */
void diff_datagram_prepare(struct diff_world *world,
			   const struct diff_operation *operation)
{
	struct diff_slot *slot = &world->slots[operation->argument[0]];

	world->nr_datagrams++;
	if (is_send(operation))
		note_send(world, operation);
	switch ((int)operation->kind) {
	case DIFF_BIND:
	case DIFF_CONNECT:
	case DIFF_CONNECT_PORT:
	case DIFF_DISCONNECT:
		settle(world);
		slot->connection->nr_names++;
		break;
	case DIFF_CLOSE:
	case DIFF_SHUTDOWN:
	case DIFF_SIGIO:
		settle(world);
		break;
	case DIFF_DRAIN:
		slot->connection->is_mixed = false;
		break;
	}
}
