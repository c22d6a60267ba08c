// SPDX-License-Identifier: GPL-2.0-or-later
/* Which connects of streams make sense; rules.c has the list. */
#include "rules.h"

/* Whether somebody else has the name that this one would connect from. */
static bool shares_name(const struct diff_world *world,
			const struct diff_slot *from)
{
	unsigned int port = diff_port_of(from->fd[DIFF_RIGHT], false), i;
	const struct diff_slot *slot;

	for (i = 0; port && i < DIFF_NR_SLOTS; i++) {
		slot = &world->slots[i];
		if (slot->fd[DIFF_RIGHT] >= 0 && slot->socket != from->socket &&
		    diff_port_of(slot->fd[DIFF_RIGHT], false) == port)
			return true;
	}
	return false;
}

/**
 * diff_connect_makes_sense - whether to play a connect() of a stream
 * @world: at rest
 * @operation: on an open slot
 */
bool diff_connect_makes_sense(const struct diff_world *world,
				const struct diff_operation *operation)
{
	const struct diff_slot *from = &world->slots[operation->argument[0]];
	unsigned int own = diff_port_of(from->fd[DIFF_RIGHT], false);

	if (from->has_dialled_mapped && operation->argument[2] != 2)
		return false;
	if (operation->kind == DIFF_CONNECT)
		return diff_slot_is_open(world, operation->argument[1]) &&
		       operation->argument[0] != operation->argument[1] &&
		       (!own || own != diff_port_of(
			world->slots[operation->argument[1]].fd[DIFF_RIGHT],
			false)) && !shares_name(world, from);
	return operation->argument[1] >= 0 && (!own ||
		own != world->places[DIFF_RIGHT].first_port +
		       (unsigned int)operation->argument[1] % DIFF_NR_PORTS) &&
	       !shares_name(world, from);
}
