// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The two worlds that a sequence is played in: slots with a descriptor on each
 * side, connections with what has been sent and received, and what else the
 * operations need. Nothing here decides what may differ; judge.c does.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "world.h"

static int place_open(struct diff_place *place)
{
	place->epoll = epoll_create1(EPOLL_CLOEXEC);
	place->file = memfd_create("diff", MFD_CLOEXEC);
	if (place->epoll < 0 || place->file < 0 ||
	    socketpair(AF_UNIX, SOCK_DGRAM, 0, place->mail))
		return -1;
	return 0;
}

/**
 * diff_world_open - an empty world
 * @world: all zero
 * @protocols: one for each side, for socket(2)
 * @first_port: of 2 * DIFF_NR_PORTS that nobody else uses
 *
 * Return: 0, or -1 with errno.
 */
int diff_world_open(struct diff_world *world, const int *protocols,
		    unsigned int first_port)
{
	unsigned int i, side;

	world->holder = -1;
	for (i = 0; i < DIFF_NR_SLOTS; i++) {
		world->slots[i].fd[DIFF_LEFT] = -1;
		world->slots[i].fd[DIFF_RIGHT] = -1;
	}
	for (side = 0; side < DIFF_NR_SIDES; side++) {
		world->places[side].protocol = protocols[side];
		world->places[side].first_port =
			(uint16_t)(first_port + side * DIFF_NR_PORTS);
		if (place_open(&world->places[side]))
			return -1;
	}
	world->has_circuits = protocols[DIFF_LEFT] != IPPROTO_TCP;
	return 0;
}

/**
 * diff_slot_is_open - whether there are descriptors in a slot
 * @world: which
 * @slot: from a sequence, unchecked
 */
bool diff_slot_is_open(const struct diff_world *world, int slot)
{
	return slot >= 0 && slot < DIFF_NR_SLOTS &&
	       world->slots[slot].fd[DIFF_LEFT] >= 0;
}

/**
 * diff_available - bytes that are under way or wait to be read
 * @connection: which
 * @direction: the end that sends
 * @side: in which world
 */
uint64_t diff_available(const struct diff_connection *connection,
			unsigned int direction, enum diff_side side)
{
	return connection->sent[direction][side] -
	       connection->received[direction][side];
}

/**
 * diff_is_even - whether both worlds have the same few bytes under way
 * @slot: of a connection, or of none
 * @direction: the end that sends
 *
 * They have not while a buffer is full, for their sizes differ.
 */
bool diff_is_even(const struct diff_slot *slot, unsigned int direction)
{
	const struct diff_connection *connection = slot->connection;

	if (connection && connection->is_datagram)
		return direction == slot->end || !connection->is_mixed;
	return !connection ||
	       (!connection->nr_sending[direction] &&
		diff_available(connection, direction, DIFF_LEFT) ==
		diff_available(connection, direction, DIFF_RIGHT) &&
		diff_available(connection, direction, DIFF_LEFT) <=
		DIFF_MAX_UNDER_WAY);
}

/**
 * diff_connection_add - a connect() begins
 * @world: which
 */
struct diff_connection *diff_connection_add(struct diff_world *world)
{
	unsigned int id = world->nr_connections++;

	world->connections[id].id = id + 1;
	return &world->connections[id];
}

/**
 * diff_port_of - the port of a socket, 0 if it has none
 * @fd: of a socket
 * @of_peer: that of the other end
 */
unsigned int diff_port_of(int fd, bool of_peer)
{
	struct sockaddr_in6 name = { 0 };
	socklen_t bytes = sizeof(name);

	if (of_peer ? getpeername(fd, (struct sockaddr *)&name, &bytes) :
		      getsockname(fd, (struct sockaddr *)&name, &bytes))
		return 0;
	return ntohs(name.sin6_port);
}

/**
 * diff_connection_find - whose connection was accepted
 * @world: which
 * @side: in which world
 * @fd: what accept() gave
 *
 * Return: NULL if it is over already and told no name.
 */
struct diff_connection *diff_connection_find(struct diff_world *world,
					     enum diff_side side, int fd)
{
	unsigned int port = diff_port_of(fd, true), i;
	struct diff_slot *slot;

	/* A connect() that waits has a port since it began. */
	for (i = 0; i < DIFF_NR_SLOTS; i++) {
		slot = &world->slots[i];
		if (slot->fd[side] >= 0 && slot->connection && !slot->end &&
		    !slot->connection->is_datagram && !slot->connection->client_port[side])
			slot->connection->client_port[side] =
				(uint16_t)diff_port_of(slot->fd[side], false);
	}
	for (i = world->nr_connections; port && i-- > 0;)
		if (!world->connections[i].is_accepted &&
		    world->connections[i].client_port[side] == port)
			return &world->connections[i];
	return NULL;
}

/**
 * diff_is_urgent - whether a byte of a stream may be read out of band
 * @connection: which
 * @direction: the end that sends
 * @offset: from the stream's beginning
 */
bool diff_is_urgent(const struct diff_connection *connection,
		    unsigned int direction, uint64_t offset)
{
	unsigned int i;

	for (i = 0; i < connection->nr_urgent[direction]; i++)
		if (connection->urgent[direction][i] == offset)
			return true;
	return false;
}

/**
 * diff_is_drained - whether nothing is left that must be read in its place
 * @connection: which
 * @direction: the end that sends
 * @side: in which world
 */
bool diff_is_drained(const struct diff_connection *connection,
		     unsigned int direction, enum diff_side side)
{
	uint64_t at = connection->received[direction][side];

	while (at < connection->sent[direction][side] &&
	       diff_is_urgent(connection, direction, at))
		at++;
	return at >= connection->sent[direction][side];
}

/**
 * diff_byte - what must be at a place of a stream
 * @connection: which; NULL: what nobody shall ever read
 * @direction: the end that sends
 * @offset: from the stream's beginning
 */
unsigned char diff_byte(const struct diff_connection *connection,
			unsigned int direction, uint64_t offset)
{
	unsigned int id = connection ? connection->id : 0;

	return (unsigned char)(offset + (offset >> 8) * 17 + id * 37 +
			       direction * 101);
}

/* Within a block of 256 bytes each is the next number: a part of these. */
static const unsigned char *pattern_of(unsigned char first)
{
	static unsigned char numbers[512];
	static atomic_bool is_made;
	unsigned int i;

	/* Threads that make it at once write the same. */
	if (!atomic_load(&is_made)) {
		for (i = 0; i < sizeof(numbers); i++)
			numbers[i] = (unsigned char)i;
		atomic_store(&is_made, true);
	}
	return &numbers[first];
}

static size_t pattern_bytes(uint64_t offset, size_t bytes)
{
	size_t room = 256 - (size_t)(offset & 255);

	return bytes < room ? bytes : room;
}

/**
 * diff_bytes_make - diff_byte() of many
 * @connection: which
 * @direction: the end that sends
 * @offset: of the first
 * @ret_data: overwritten
 * @bytes: how many
 */
void diff_bytes_make(const struct diff_connection *connection,
		     unsigned int direction, uint64_t offset,
		     unsigned char *ret_data, size_t bytes)
{
	size_t part;

	for (; bytes; offset += part, ret_data += part, bytes -= part) {
		part = pattern_bytes(offset, bytes);
		memcpy(ret_data, pattern_of(diff_byte(connection, direction,
						      offset)), part);
	}
}

/**
 * diff_bytes_are - whether each is what diff_byte() says
 * @connection: which
 * @direction: the end that sends
 * @offset: of the first
 * @data: what was received
 * @bytes: how many
 */
bool diff_bytes_are(const struct diff_connection *connection,
		    unsigned int direction, uint64_t offset,
		    const unsigned char *data, size_t bytes)
{
	size_t part;

	for (; bytes; offset += part, data += part, bytes -= part) {
		part = pattern_bytes(offset, bytes);
		if (memcmp(data, pattern_of(diff_byte(connection, direction,
						      offset)), part))
			return false;
	}
	return true;
}
