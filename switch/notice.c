// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a VM is told about its circuits: OFFER, CONNECTED, FAILED, RESET. Owns
 * nothing. Called by connect.c, answer.c and the uplink.
 */
#include <endian.h>

#include "switch/notice.h"

static struct vmc_circuit_id circuit_id(const struct vmc_link *link,
					unsigned int end, uint32_t slot)
{
	return (struct vmc_circuit_id){
		.link = htole32(link->ends[end].id),
		.slot = htole32(slot),
		.generation =
			htole32(link->circuits.circuits[slot].generation),
	};
}

static struct vmc_ring_place ring_place(const struct vmc_circuit *circuit,
					unsigned int end)
{
	return (struct vmc_ring_place){
		.tx_offset = htole64(circuit->offsets[end]),
		.rx_offset = htole64(circuit->offsets[!end]),
		.tx_bytes = htole32(circuit->bytes[end]),
		.rx_bytes = htole32(circuit->bytes[!end]),
	};
}

/**
 * vmc_notice_offer - OFFER a circuit
 * @link: its link
 * @end: who is told, a VM
 * @slot: the circuit, with both names
 * @listener: the one that matched, 0 for a datagram circuit
 */
void vmc_notice_offer(struct vmc_link *link, unsigned int end, uint32_t slot,
		      uint32_t listener)
{
	const struct vmc_circuit *circuit = &link->circuits.circuits[slot];
	struct vmc_offer offer = {
		.id = circuit_id(link, end, slot),
		.place = ring_place(circuit, end),
		.listener = htole32(listener),
		.flags = htole32(circuit->is_datagram ?
				 VMC_CIRCUIT_DATAGRAM : 0),
		.local = circuit->names[end],
		.remote = circuit->names[!end],
	};

	vmc_vm_send(link->ends[end].vm, VMC_MSG_OFFER, &offer);
}

/**
 * vmc_notice_connected - answer a CONNECT with the circuit
 * @link: its link
 * @end: the dialler's
 * @slot: the circuit
 * @cookie: of the CONNECT
 */
void vmc_notice_connected(struct vmc_link *link, unsigned int end,
			  uint32_t slot, uint32_t cookie)
{
	struct vmc_connected connected = {
		.id = circuit_id(link, end, slot),
		.place = ring_place(&link->circuits.circuits[slot], end),
		.cookie = htole32(cookie),
	};

	vmc_vm_send(link->ends[end].vm, VMC_MSG_CONNECTED, &connected);
}

/**
 * vmc_notice_failed - answer a CONNECT with an error
 * @vm: who dialled; one that left hears nothing
 * @cookie: of the CONNECT
 * @error: positive errno
 */
void vmc_notice_failed(struct vmc_vm *vm, uint32_t cookie, int error)
{
	struct vmc_failed failed = {
		.cookie = htole32(cookie),
		.error = htole32((uint32_t)error),
	};

	if (!vm->is_welcome)
		return;
	vm->stats.circuits_refused++;
	vmc_vm_send(vm, VMC_MSG_FAILED, &failed);
}

/**
 * vmc_notice_reset - RESET a circuit, or withdraw its OFFER
 * @link: its link
 * @end: who is told, a VM
 * @slot: the circuit
 * @error: positive errno for the socket
 */
void vmc_notice_reset(struct vmc_link *link, unsigned int end, uint32_t slot,
		      int error)
{
	struct vmc_reset reset = {
		.id = circuit_id(link, end, slot),
		.error = htole32((uint32_t)error),
	};

	link->ends[end].vm->stats.circuits_reset++;
	vmc_vm_send(link->ends[end].vm, VMC_MSG_RESET, &reset);
}
