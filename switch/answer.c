// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a VM says of a circuit that exists: ACCEPT, REFUSE, CLOSE; and that it
 * leaves. Owns the rules for which message may come in which state of its end
 * (answer_verdict() has them all). Called by broker.c.
 */
#include <endian.h>
#include <errno.h>

#include "switch/answer.h"
#include "switch/connect.h"
#include "switch/notice.h"
#include "switch/terminal.h"
#include "switch/wire.h"

/* An errno from a guest that may be handed to another guest. */
#define MAX_ERRNO	133

enum verdict {
	VERDICT_LIE,		/* end the connection */
	VERDICT_STALE,		/* crossed another message; ignore */
	VERDICT_ESTABLISH,
	VERDICT_REFUSE,		/* the dialler gets FAILED, or RESET */
	VERDICT_CLOSE,
};

/*
 * What ACCEPT, REFUSE and CLOSE mean in each state of the sender's end. The
 * switch does not see half-closes, so an end is never in a _SHUT state.
 */
static enum verdict answer_verdict(enum vmc_state state, unsigned int type)
{
	switch (state) {
	case VMC_STATE_OFFERED:
		if (type == VMC_MSG_ACCEPT)
			return VERDICT_ESTABLISH;
		return VERDICT_REFUSE;
	case VMC_STATE_OPEN:
		return type == VMC_MSG_CLOSE ? VERDICT_CLOSE : VERDICT_LIE;
	case VMC_STATE_BROKEN:
		/* The RESET crossed the answer; CLOSE follows an ACCEPT. */
		return type == VMC_MSG_ACCEPT ? VERDICT_STALE : VERDICT_CLOSE;
	case VMC_STATE_CLOSED:
		/* REFUSE crossed a RESET, which CLOSE answered. */
		return type == VMC_MSG_CLOSE ? VERDICT_STALE : VERDICT_LIE;
	case VMC_STATE_CONNECTING:
		/* The dialler does not know the id yet. */
	case VMC_STATE_FREE:
	case VMC_STATE_TX_SHUT:
	case VMC_STATE_RX_SHUT:
	case VMC_STATE_BOTH_SHUT:
	case VMC_NR_STATES:
		break;
	}
	return VERDICT_LIE;
}

static void open_end(struct vmc_link *link, unsigned int end, uint32_t slot)
{
	vmc_link_step(link, end, slot, VMC_EVENT_ESTABLISH);
	if (link->ends[end].vm)
		link->ends[end].vm->stats.circuits_opened++;
}

/**
 * vmc_answer_dial - a VM that dialled another may use its circuit
 * @link: its link
 * @slot: the circuit, with a dial
 *
 * The other has accepted, or is about to.
 */
void vmc_answer_dial(struct vmc_link *link, uint32_t slot)
{
	struct vmc_circuit *circuit = &link->circuits.circuits[slot];
	struct vmc_dial *dial = circuit->dial;

	open_end(link, circuit->dialler, slot);
	vmc_notice_connected(link, circuit->dialler, slot, dial->cookie);
	circuit->dial = NULL;
	vmc_dial_remove(&dial->vm->dials, dial);
}

/**
 * vmc_answer_establish - both ends of a circuit may use it
 * @link: its link
 * @end: who was offered it
 * @slot: the circuit
 */
void vmc_answer_establish(struct vmc_link *link, unsigned int end,
			  uint32_t slot)
{
	struct vmc_circuit *circuit = &link->circuits.circuits[slot];

	open_end(link, end, slot);
	if (circuit->terminal) {
		open_end(link, !end, slot);
		circuit->terminal->ops->accepted(circuit->terminal);
	} else if (circuit->dial) {
		vmc_answer_dial(link, slot);
	}
}

static void accept_end(struct vmc_link *link, unsigned int end, uint32_t slot,
		       uint32_t room)
{
	vmc_answer_establish(link, end, slot);
	vmc_listener_set_room(&link->ends[end].vm->listeners,
			      link->circuits.circuits[slot].listener, room);
}

static void refuse(struct vmc_link *link, unsigned int end, uint32_t slot,
		   uint32_t raw_error)
{
	struct vmc_circuit *circuit = &link->circuits.circuits[slot];
	int error = ECONNREFUSED;

	if (raw_error && raw_error <= MAX_ERRNO)
		error = (int)raw_error;
	vmc_link_step(link, end, slot, VMC_EVENT_CLOSE);
	if (circuit->terminal) {
		circuit->terminal->ops->refused(circuit->terminal);
		return;
	}
	if (circuit->dial) {
		vmc_connect_fail(circuit->dial, error);
		circuit->dial = NULL;
		/* The dialler never learned of the circuit. */
		vmc_circuit_step(circuit, !end, VMC_EVENT_CLOSE);
	} else if (circuit->states[!end] == VMC_STATE_OPEN) {
		vmc_circuit_step(circuit, !end, VMC_EVENT_BREAK);
		vmc_notice_reset(link, !end, slot, ECONNRESET);
	}
	vmc_link_close_if_over(link, slot);
}

static void close_end(struct vmc_link *link, unsigned int end, uint32_t slot)
{
	struct vmc_circuit *circuit = &link->circuits.circuits[slot];

	vmc_circuit_step(circuit, end, VMC_EVENT_CLOSE);
	if (circuit->terminal)
		circuit->terminal->ops->guest_closed(circuit->terminal);
	else
		vmc_link_close_if_over(link, slot);
}

/* The link that a guest names; NULL after a complaint or a count. */
static struct vmc_link *find_link(struct vmc_vm *vm, uint32_t raw_link)
{
	struct vmc_link *link = NULL;

	if (raw_link < VMC_MAX_LINKS)
		link = vm->links[raw_link];
	if (!link || link->state == VMC_LINK_MAPPING) {
		vmc_vm_fault(vm, "message about link %u, which it never had",
			     raw_link);
		return NULL;
	}
	if (link->state == VMC_LINK_DOWN) {
		vm->stats.stale++;
		return NULL;
	}
	return link;
}

/**
 * vmc_answer - handle ACCEPT, REFUSE and CLOSE
 * @vm: the sender
 * @type: which of the three
 * @raw_id: the circuit, unchecked
 * @raw_detail: of ACCEPT the room, of REFUSE the error, unchecked
 */
void vmc_answer(struct vmc_vm *vm, unsigned int type,
		const struct vmc_circuit_id *raw_id, uint32_t raw_detail)
{
	uint32_t generation = le32toh(raw_id->generation);
	uint32_t link_id = le32toh(raw_id->link);
	uint32_t slot = le32toh(raw_id->slot);
	struct vmc_link *link = find_link(vm, link_id);
	enum verdict verdict = VERDICT_LIE;
	struct vmc_circuit *circuit;
	unsigned int end;

	if (!link)
		return;
	end = vm->link_ends[link_id];
	switch (vmc_circuit_find(&link->circuits, slot, generation,
				 &circuit)) {
	case VMC_CLAIM_GOOD:
		verdict = answer_verdict(circuit->states[end], type);
		break;
	case VMC_CLAIM_STALE:
		verdict = VERDICT_STALE;
		break;
	case VMC_CLAIM_LIE:
		break;
	}
	switch (verdict) {
	case VERDICT_LIE:
		vmc_vm_fault(vm, "message %u about circuit %u:%u:%u, which is not its to send",
			     type, link_id, slot, generation);
		break;
	case VERDICT_STALE:
		vm->stats.stale++;
		break;
	case VERDICT_ESTABLISH:
		accept_end(link, end, slot, raw_detail);
		break;
	case VERDICT_REFUSE:
		refuse(link, end, slot, raw_detail);
		break;
	case VERDICT_CLOSE:
		close_end(link, end, slot);
		break;
	}
}

/* A circuit's VM is gone. */
static void end_circuit(struct vmc_link *link, uint32_t slot)
{
	struct vmc_circuit *circuit = &link->circuits.circuits[slot];
	unsigned int i;

	if (circuit->states[0] == VMC_STATE_FREE &&
	    circuit->states[1] == VMC_STATE_FREE)
		return;
	for (i = 0; i < 2; i++) {
		/* The others were counted, or ended by themselves. */
		if (link->ends[i].vm &&
		    circuit->states[i] != VMC_STATE_BROKEN &&
		    circuit->states[i] != VMC_STATE_CLOSED)
			link->ends[i].vm->stats.circuits_reset++;
		if (circuit->states[i] == VMC_STATE_OFFERED)
			vmc_link_step(link, i, slot, VMC_EVENT_CLOSE);
	}
	if (link->trunk) {
		/* It frees the circuit when the host's socket is closed. */
		if (circuit->states[0] != VMC_STATE_CLOSED)
			vmc_circuit_step(circuit, 0, VMC_EVENT_CLOSE);
		return;
	}
	if (circuit->dial)
		vmc_connect_fail(circuit->dial, EHOSTUNREACH);
	circuit->dial = NULL;
	for (i = 0; i < 2; i++)
		vmc_wire_say(link, i, slot, VMC_CTL_RST | VMC_CTL_GONE);
	vmc_wire_destroy(link, slot);
	vmc_link_charge(link, slot, -1);
}

/* Every circuit of a link ends; the dials over it fail. */
static void end_circuits(struct vmc_link *link)
{
	struct vmc_dial *dial;
	uint32_t slot;

	while ((dial = TAILQ_FIRST(&link->dials)))
		vmc_connect_fail(dial, EHOSTUNREACH);
	for (slot = 0; slot < link->circuits.nr_fresh; slot++)
		end_circuit(link, slot);
	if (link->trunk)
		vmc_trunk_abort(link->trunk);
	else
		link->circuits.nr_open = 0;
}

/*
 * A process is gone: do for its circuit what a kernel does for a socket. What
 * it sent is sent; what it did not read is lost, and then its peer had better
 * know. Nor is it the end of what it had to say, if it was thrown out or starts
 * afresh.
 */
static void close_for(struct vmc_vm *vm, struct vmc_link *link,
		      unsigned int end, uint32_t slot)
{
	struct vmc_circuit *circuit = &link->circuits.circuits[slot];

	switch (circuit->states[end]) {
	case VMC_STATE_CONNECTING:
		vmc_connect_cancel(vm, circuit->dial->cookie);
		break;
	case VMC_STATE_OPEN:
		vmc_wire_say(link, end, slot, VMC_CTL_FIN | VMC_CTL_GONE |
			     (vm->has_left &&
			      !vmc_wire_has_unread(link, end, slot) ?
			      0 : VMC_CTL_RST));
		close_end(link, end, slot);
		break;
	default:
		break;
	}
}

static void close_all_for(struct vmc_vm *vm, struct vmc_link *link,
			  unsigned int end)
{
	uint32_t slot;

	for (slot = 0; slot < link->circuits.nr_fresh; slot++)
		close_for(vm, link, end, slot);
	vmc_link_depart(link, vm);
}

/**
 * vmc_answer_leave - a VM starts afresh or is gone
 * @vm: it gets no message about any of this
 *
 * The peers get FAILED for what they were dialling, then LINK_DOWN. Links
 * whose peer is gone already just end. Those of a process first close, as the
 * sockets of one do that ends.
 */
void vmc_answer_leave(struct vmc_vm *vm)
{
	struct vmc_link *link;
	uint32_t id;

	for (id = 0; id < VMC_MAX_LINKS; id++) {
		link = vm->links[id];
		if (!link)
			continue;
		if (vm->config->is_endpoint && link->state == VMC_LINK_UP &&
		    !vmc_link_is_self(link)) {
			close_all_for(vm, link, vm->link_ends[id]);
			continue;
		}
		if (link->state != VMC_LINK_DOWN)
			end_circuits(link);
		vmc_link_leave(link, vm);
	}
	vm->nr_circuits = 0;
	vm->ring_bytes = 0;
	vmc_listener_clear(&vm->listeners);
}
