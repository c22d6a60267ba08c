// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ports for sequences: below those that the kernel gives out, and such as
 * nobody has. A connection of an earlier sequence may have one for a minute
 * yet, which is TIME_WAIT, and would be in the way on one side only.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "ports.h"

#define FIRST_PORT	2048U
#define NR_RANGES	((32768U - FIRST_PORT) / DIFF_NR_SIDES / DIFF_NR_PORTS)

/**
 * diff_ports_divide - a player's part
 * @ret_ports: overwritten
 * @player: its number, from 0
 * @nr_players: all of them
 */
void diff_ports_divide(struct diff_ports *ret_ports, unsigned int player,
		       unsigned int nr_players)
{
	unsigned int nr = NR_RANGES / nr_players;

	*ret_ports = (struct diff_ports){
		.first = FIRST_PORT +
			 player * nr * DIFF_NR_SIDES * DIFF_NR_PORTS,
		.nr_ranges = nr,
	};
}

static bool is_free(int protocol, unsigned int port)
{
	struct sockaddr_in6 name = {
		.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port),
	};
	int fd = socket(AF_INET6, SOCK_STREAM, protocol);
	bool is_bound = !bind(fd, (struct sockaddr *)&name, sizeof(name));

	close(fd);
	return is_bound;
}

/* Whether what the sequence binds could be bound, on both sides. */
static bool is_range_free(unsigned int first_port,
			  const struct diff_sequence *sequence,
			  const int *protocols)
{
	const struct diff_operation *operation = sequence->operations;
	unsigned int i, side, port;

	for (i = 0; i < sequence->nr; i++, operation++) {
		if (operation->kind != DIFF_BIND || operation->argument[2] < 0)
			continue;
		port = (unsigned int)operation->argument[2] % DIFF_NR_PORTS;
		for (side = 0; side < DIFF_NR_SIDES; side++)
			if (!is_free(protocols[side], first_port + port +
						      side * DIFF_NR_PORTS))
				return false;
	}
	return true;
}

/**
 * diff_ports_take - the ports of a sequence
 * @ports: of the player
 * @sequence: that it plays next
 * @protocols: one for each side
 *
 * Return: the first of DIFF_NR_SIDES * DIFF_NR_PORTS.
 */
unsigned int diff_ports_take(struct diff_ports *ports,
			     const struct diff_sequence *sequence,
			     const int *protocols)
{
	unsigned int tries, first = 0;

	/* With all in use a sequence differs, and tells by what. */
	for (tries = 0; tries < ports->nr_ranges; tries++) {
		first = ports->first + ports->next * DIFF_NR_SIDES *
				       DIFF_NR_PORTS;
		ports->next = (ports->next + 1) % ports->nr_ranges;
		if (is_range_free(first, sequence, protocols))
			break;
	}
	return first;
}
