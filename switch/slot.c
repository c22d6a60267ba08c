// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The slots of a link: each circuit takes one, with its rings, and leaves both
 * clear behind. Owns the ring space of the segments. Called by connect.c,
 * answer.c and the relays.
 */
#include <errno.h>

#include "switch/drops.h"
#include "switch/link.h"
#include "switch/listener.h"
#include "switch/wire.h"

/* A ring for @wish in a segment, or a smaller one while space is short. */
static int take_ring(struct vmc_buddy *rings, uint32_t wish,
		     uint64_t *ret_offset, uint32_t *ret_bytes)
{
	uint32_t bytes = vmc_ring_size_for(wish);
	uint32_t cap = vmc_buddy_cap(rings);

	if (bytes > cap)
		bytes = cap;
	while (vmc_buddy_take(rings, bytes, ret_offset)) {
		if (bytes == VMC_RING_MIN_BYTES)
			return -ENOSPC;
		bytes /= 2;
	}
	*ret_bytes = bytes;
	return 0;
}

/**
 * vmc_link_charge - count a circuit for the VMs that have it
 * @link: the link
 * @slot: the circuit, with its rings
 * @sign: 1, or -1 to count it no more
 *
 * One to the hub does not count.
 */
void vmc_link_charge(struct vmc_link *link, uint32_t slot, int sign)
{
	const struct vmc_circuit *circuit = &link->circuits.circuits[slot];
	int64_t ring_bytes = (int64_t)circuit->bytes[0] + circuit->bytes[1];
	unsigned int i;

	if (circuit->is_hub)
		return;
	if (sign < 0)
		vmc_drops_keep(link, slot);
	for (i = 0; i < 2; i++) {
		if (!link->ends[i].vm)
			continue;
		link->ends[i].vm->nr_circuits += (uint32_t)sign;
		link->ends[i].vm->ring_bytes += (uint64_t)(sign * ring_bytes);
	}
}

/**
 * vmc_link_open_circuit - take a slot and its rings
 * @link: up
 * @wishes: wished bytes of the ring that each end writes, 0: default
 * @is_hub: it is a VM's to the hub, which every VM has: it is not counted
 * @ret_slot: the slot; states and names are the caller's to set
 *
 * Return: 0, -ENOSPC when slots or ring space are used up, or the error of a
 * wire.
 */
int vmc_link_open_circuit(struct vmc_link *link, const uint32_t wishes[2],
			  bool is_hub, uint32_t *ret_slot)
{
	struct vmc_circuit *circuit;
	uint32_t slot;
	int error;

	error = vmc_circuit_take(&link->circuits, &slot);
	if (error)
		return error;
	circuit = &link->circuits.circuits[slot];
	error = take_ring(&link->rings[0], wishes[0], &circuit->offsets[0],
			  &circuit->bytes[0]);
	if (error)
		goto give_slot;
	error = take_ring(&link->rings[1], wishes[1], &circuit->offsets[1],
			  &circuit->bytes[1]);
	if (error)
		goto give_ring;
	vmc_segment_clear_ctl(&link->segments[0], slot);
	vmc_segment_clear_ctl(&link->segments[1], slot);
	if (vmc_link_has_process(link)) {
		error = vmc_wire_create(link, slot);
		if (error)
			goto give_rings;
	}
	circuit->is_hub = is_hub;
	vmc_link_charge(link, slot, 1);
	*ret_slot = slot;
	return 0;

give_rings:
	vmc_buddy_give(&link->rings[1], circuit->offsets[1],
		       circuit->bytes[1]);
give_ring:
	vmc_buddy_give(&link->rings[0], circuit->offsets[0],
		       circuit->bytes[0]);
give_slot:
	vmc_circuit_give(&link->circuits, slot);
	return error;
}

/* Free a slot and its rings. */
static void close_circuit(struct vmc_link *link, uint32_t slot)
{
	struct vmc_circuit *circuit = &link->circuits.circuits[slot];
	int i;

	vmc_link_charge(link, slot, -1);
	vmc_wire_destroy(link, slot);
	for (i = 0; i < 2; i++) {
		vmc_segment_clear_ring(&link->segments[i],
				       circuit->offsets[i], circuit->bytes[i]);
		vmc_buddy_give(&link->rings[i], circuit->offsets[i],
			       circuit->bytes[i]);
	}
	vmc_circuit_give(&link->circuits, slot);
}

/**
 * vmc_link_offer - an end is offered a circuit
 * @link: its link
 * @end: a VM's
 * @slot: the circuit, which has never been this end's
 * @listener: of the VM, 0 for datagrams
 */
void vmc_link_offer(struct vmc_link *link, unsigned int end, uint32_t slot,
		    uint32_t listener)
{
	struct vmc_circuit *circuit = &link->circuits.circuits[slot];

	circuit->listener = listener;
	vmc_circuit_step(circuit, end, VMC_EVENT_OFFER);
	vmc_listener_offered(&link->ends[end].vm->listeners, listener);
}

/**
 * vmc_link_step - vmc_circuit_step() for an end that may be OFFERED
 * @link: its link
 * @end: a VM's
 * @slot: the circuit
 * @event: answers the OFFER, or makes it void
 */
void vmc_link_step(struct vmc_link *link, unsigned int end, uint32_t slot,
		   enum vmc_event event)
{
	struct vmc_circuit *circuit = &link->circuits.circuits[slot];

	if (circuit->states[end] == VMC_STATE_OFFERED)
		vmc_listener_answered(&link->ends[end].vm->listeners,
				      circuit->listener);
	vmc_circuit_step(circuit, end, event);
}

/**
 * vmc_link_close_if_over - free a slot when both ends are closed
 * @link: up, or down with the uplink's end still there; goes down with its
 *	last circuit, if that is what a process left behind
 * @slot: in use
 */
void vmc_link_close_if_over(struct vmc_link *link, uint32_t slot)
{
	const struct vmc_circuit *circuit = &link->circuits.circuits[slot];

	if (circuit->states[0] == VMC_STATE_CLOSED &&
	    circuit->states[1] == VMC_STATE_CLOSED) {
		close_circuit(link, slot);
		vmc_link_end_if_over(link);
	}
}
