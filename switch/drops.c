// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What became of datagrams that reached nobody. Guests count in the control
 * pages of their circuits; what stands there is only ever shown, for a guest
 * can lie about itself. Owns nothing: a VM's sum over circuits that are closed
 * is with its other counters. Called by link.c and control_reply.c.
 */
#include <endian.h>

#include "proto/ring.h"
#include "switch/drops.h"
#include "switch/link.h"

static void add(struct vmc_drops *drops, const struct vmc_link *link,
		uint32_t slot, unsigned int end)
{
	const struct vmc_circuit *circuit = &link->circuits.circuits[slot];
	const struct vmc_ctl *raw_ctl =
		vmc_segment_ctl(&link->segments[end], slot);

	if (!circuit->is_datagram)
		return;
	drops->unsent += le32toh(__atomic_load_n(&raw_ctl->unsent,
						 __ATOMIC_RELAXED));
	drops->refused += le32toh(__atomic_load_n(&raw_ctl->refused,
						  __ATOMIC_RELAXED));
}

/**
 * vmc_drops_keep - a circuit ends: remember its counters
 * @link: its link
 * @slot: the circuit, before its control pages are another's
 */
void vmc_drops_keep(const struct vmc_link *link, uint32_t slot)
{
	unsigned int end;

	for (end = 0; end < 2; end++) {
		if (link->ends[end].vm)
			add(&link->ends[end].vm->drops, link, slot, end);
	}
}

static bool is_open(const struct vmc_circuit *circuit)
{
	return circuit->states[0] != VMC_STATE_FREE ||
	       circuit->states[1] != VMC_STATE_FREE;
}

/**
 * vmc_drops_of - a VM's counters, those of open circuits included
 * @vm: the VM
 */
struct vmc_drops vmc_drops_of(const struct vmc_vm *vm)
{
	struct vmc_drops drops = vm->drops;
	const struct vmc_link *link;
	uint32_t id, slot;

	for (id = 0; id < VMC_MAX_LINKS; id++) {
		link = vm->links[id];
		if (!link || link->state != VMC_LINK_UP)
			continue;
		for (slot = 0; slot < link->circuits.nr_fresh; slot++) {
			if (is_open(&link->circuits.circuits[slot]))
				add(&drops, link, slot, vm->link_ends[id]);
		}
	}
	return drops;
}
