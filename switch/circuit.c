// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The circuits of a link: slots, and generations that tell a slot's users
 * apart. Owns the table; the rings belong to link.c.
 */
#include <errno.h>

#include "switch/circuit.h"

/**
 * vmc_circuit_step - take one step of an end's life
 * @circuit: whose
 * @end: which end
 * @event: one that its state permits
 */
void vmc_circuit_step(struct vmc_circuit *circuit, unsigned int end,
		      enum vmc_event event)
{
	circuit->states[end] = vmc_state_next(circuit->states[end], event);
}

/**
 * vmc_circuit_take - use a slot
 * @table: all zero at first
 * @ret_slot: the slot; its generation is new, its states are FREE
 *
 * A slot that rested long enough comes before one that was never used: few
 * slots in use means few pages in use.
 *
 * Return: 0, or -ENOSPC.
 */
int vmc_circuit_take(struct vmc_circuit_table *table, uint32_t *ret_slot)
{
	struct vmc_circuit *circuit;
	uint32_t slot;

	if (table->nr_resting >= VMC_SLOT_REST ||
	    (table->nr_resting && table->nr_fresh == VMC_SLOTS_PER_LINK)) {
		slot = table->oldest;
		table->oldest = table->circuits[slot].next_free;
		table->nr_resting--;
	} else if (table->nr_fresh < VMC_SLOTS_PER_LINK) {
		slot = table->nr_fresh++;
	} else {
		return -ENOSPC;
	}
	circuit = &table->circuits[slot];
	circuit->generation++;
	if (!circuit->generation)
		circuit->generation = 1;
	table->nr_open++;
	*ret_slot = slot;
	return 0;
}

/**
 * vmc_circuit_give - a circuit is over
 * @table: the table
 * @slot: from vmc_circuit_take()
 */
void vmc_circuit_give(struct vmc_circuit_table *table, uint32_t slot)
{
	struct vmc_circuit *circuit = &table->circuits[slot];

	*circuit = (struct vmc_circuit){ .generation = circuit->generation };
	if (table->nr_resting)
		table->circuits[table->newest].next_free = slot;
	else
		table->oldest = slot;
	table->newest = slot;
	table->nr_resting++;
	table->nr_open--;
}

/**
 * vmc_circuit_find - find the circuit that a guest names
 * @table: the table
 * @raw_slot: unchecked
 * @raw_generation: unchecked
 * @ret_circuit: the circuit, when the claim is good
 *
 * Return: what the claim is worth. The difference of generations is signed,
 * so that they may wrap.
 */
enum vmc_circuit_claim
vmc_circuit_find(struct vmc_circuit_table *table, uint32_t raw_slot,
		 uint32_t raw_generation, struct vmc_circuit **ret_circuit)
{
	struct vmc_circuit *circuit;

	if (raw_slot >= table->nr_fresh || !raw_generation)
		return VMC_CLAIM_LIE;
	circuit = &table->circuits[raw_slot];
	if ((int32_t)(raw_generation - circuit->generation) > 0)
		return VMC_CLAIM_LIE;
	if (raw_generation != circuit->generation ||
	    (circuit->states[0] == VMC_STATE_FREE &&
	     circuit->states[1] == VMC_STATE_FREE))
		return VMC_CLAIM_STALE;
	*ret_circuit = circuit;
	return VMC_CLAIM_GOOD;
}
