/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DIFF_PORTS_H
#define DIFF_PORTS_H

#include "world.h"

/* The part of all ports that a player has for itself. */
struct diff_ports {
	unsigned int first, nr_ranges;	/* each of a sequence */
	unsigned int next;
};

void diff_ports_divide(struct diff_ports *ret_ports, unsigned int player,
		       unsigned int nr_players);
unsigned int diff_ports_take(struct diff_ports *ports,
			     const struct diff_sequence *sequence,
			     const int *protocols);

#endif /* DIFF_PORTS_H */
