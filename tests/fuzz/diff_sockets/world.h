/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DIFF_WORLD_H
#define DIFF_WORLD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "sequence.h"

#define DIFF_NR_SLOTS		12
#define DIFF_NR_SIDES		2
#define DIFF_NR_PORTS		16

/* More than that under way might fill a buffer on one side only. */
#define DIFF_MAX_UNDER_WAY	16384

/* Positions of urgent bytes that a stream remembers. */
#define DIFF_MAX_URGENT		16

/* The thing under test, and what says what is right. */
enum diff_side { DIFF_LEFT, DIFF_RIGHT };

/*
 * A connection, in both worlds. An end is 0 for who connected, 1 for who
 * accepted; a direction is named after the end that sends.
 */
struct diff_connection {
	unsigned int id;
	bool is_accepted;
	uint16_t client_port[DIFF_NR_SIDES];
	uint64_t sent[2][DIFF_NR_SIDES];
	uint64_t received[2][DIFF_NR_SIDES];
	/* Where in the stream, by direction; they may be passed over. */
	uint64_t urgent[2][DIFF_MAX_URGENT];
	unsigned int nr_urgent[2];
	unsigned int nr_sending[2];	/* calls that may block, by end */
	unsigned int nr_receiving[2];
	unsigned int nr_splicing[2];	/* of these */
	bool is_full[2];	/* by direction */
	bool has_been_full[2];
	long fin_until;		/* when TCP must have acknowledged one */
	bool is_fin_late;
	struct diff_connection *before;	/* of the socket that connects */

	/* A datagram socket's own, however it is connected; its end is 0. */
	bool is_datagram;
	bool is_mixed;		/* of several flows waits something */
	unsigned int flow;	/* of which something came last */
	unsigned int nr_names;	/* that it has had */
};

/*
 * A slot: one descriptor on each side, or -1 on both. Slots of one socket, as
 * dup() makes them, have its number.
 */
struct diff_slot {
	int fd[DIFF_NR_SIDES];
	unsigned int socket;
	int family;
	struct diff_connection *connection;
	unsigned int end;
	bool has_dialled_mapped;	/* an IPv4 address with IPv6 */
	bool is_promised;	/* to an accept() that waits */
};

/* What belongs to one side alone. */
struct diff_place {
	int protocol;
	uint16_t first_port;
	int epoll;
	int mail[2];		/* unix sockets: descriptors travel through */
	int file;		/* for sendfile() */
	off_t file_bytes;
};

struct diff_world {
	struct diff_place places[DIFF_NR_SIDES];
	struct diff_slot slots[DIFF_NR_SLOTS];
	struct diff_connection connections[DIFF_MAX_OPERATIONS];
	unsigned int nr_connections, nr_sockets, nr_datagrams;
	bool is_port_used[65536];	/* right: TIME_WAIT may hold it */
	/* Calls in threads of their own, by socket. */
	unsigned int nr_polls_waiting[DIFF_MAX_OPERATIONS + 1];
	unsigned int nr_others_waiting[DIFF_MAX_OPERATIONS + 1];
	bool has_circuits;	/* on the left */
	pid_t holder;		/* a child that keeps the descriptors */
	int holder_pipe;
};

int diff_world_open(struct diff_world *world, const int *protocols,
		    unsigned int first_port);
bool diff_slot_is_open(const struct diff_world *world, int slot);
uint64_t diff_available(const struct diff_connection *connection,
			unsigned int direction, enum diff_side side);
bool diff_is_even(const struct diff_slot *slot, unsigned int direction);
struct diff_connection *diff_connection_add(struct diff_world *world);
struct diff_connection *diff_connection_find(struct diff_world *world,
					     enum diff_side side, int fd);
unsigned int diff_port_of(int fd, bool of_peer);
bool diff_is_urgent(const struct diff_connection *connection,
		    unsigned int direction, uint64_t offset);
bool diff_is_drained(const struct diff_connection *connection,
		     unsigned int direction, enum diff_side side);
unsigned char diff_byte(const struct diff_connection *connection,
			unsigned int direction, uint64_t offset);
void diff_bytes_make(const struct diff_connection *connection,
		     unsigned int direction, uint64_t offset,
		     unsigned char *ret_data, size_t bytes);
bool diff_bytes_are(const struct diff_connection *connection,
		    unsigned int direction, uint64_t offset,
		    const unsigned char *data, size_t bytes);

#endif /* DIFF_WORLD_H */
