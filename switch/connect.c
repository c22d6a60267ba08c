// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of a circuit: CONNECT, OFFER, ACCEPT or REFUSE, CONNECTED or
 * FAILED, CANCEL, RESET, CLOSE. Owns the rules for which message may come in
 * which state of its end (answer_verdict() has them all); the objects belong
 * to link.c, circuit.c and dial.c. Called by broker.c.
 */
#include <endian.h>
#include <errno.h>

#include "switch/address.h"
#include "switch/connect.h"
#include "switch/policy.h"

/* An errno from a guest that may be handed to another guest. */
#define MAX_ERRNO	133

static void send_failed(struct vmc_vm *vm, uint32_t cookie, int error)
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

/* Answer a CONNECT with FAILED. */
static void fail_dial(struct vmc_dial *dial, int error)
{
	if (dial->link && !dial->is_offered)
		TAILQ_REMOVE(&dial->link->dials, dial, waiting);
	send_failed(dial->vm, dial->cookie, error);
	vmc_dial_remove(&dial->vm->dials, dial);
}

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

static void send_reset(struct vmc_link *link, unsigned int end, uint32_t slot,
		       int error)
{
	struct vmc_reset reset = {
		.id = circuit_id(link, end, slot),
		.error = htole32((uint32_t)error),
	};

	link->ends[end].vm->stats.circuits_reset++;
	vmc_vm_send(link->ends[end].vm, VMC_MSG_RESET, &reset);
}

/* Take one step of an end's life. Callers ask only for permitted ones. */
static void step(struct vmc_circuit *circuit, unsigned int end,
		 enum vmc_event event)
{
	circuit->states[end] = vmc_state_next(circuit->states[end], event);
}

static void close_if_over(struct vmc_link *link, uint32_t slot)
{
	const struct vmc_circuit *circuit = &link->circuits.circuits[slot];

	if (circuit->states[0] == VMC_STATE_CLOSED &&
	    circuit->states[1] == VMC_STATE_CLOSED)
		vmc_link_close_circuit(link, slot);
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static void send_offer(struct vmc_link *link, unsigned int end, uint32_t slot,
		       uint32_t listener)
{
	const struct vmc_circuit *circuit = &link->circuits.circuits[slot];
	struct vmc_offer offer = {
		.id = circuit_id(link, end, slot),
		.place = ring_place(circuit, end),
		.listener = htole32(listener),
		.local = circuit->names[end],
		.remote = circuit->names[!end],
	};

	vmc_vm_send(link->ends[end].vm, VMC_MSG_OFFER, &offer);
}

/* The link is up: find the listener and offer it the circuit. */
static void offer(struct vmc_dial *dial)
{
	struct vmc_link *link = dial->link;
	unsigned int me = dial->end;
	struct vmc_vm *callee = link->ends[!me].vm;
	const struct vmc_listener *listener;
	struct vmc_circuit *circuit;
	uint32_t wishes[2], slot;

	listener = vmc_listener_match(&callee->listeners, &dial->remote,
				      vmc_name_hash(&dial->local,
						    &dial->remote));
	if (!listener) {
		fail_dial(dial, ECONNREFUSED);
		return;
	}
	wishes[me] = larger(dial->tx_bytes, listener->rx_bytes);
	wishes[!me] = larger(dial->rx_bytes, listener->tx_bytes);
	if (vmc_outbox_is_crowded(&callee->outbox) ||
	    vmc_link_open_circuit(link, wishes, &slot)) {
		fail_dial(dial, ENOBUFS);
		return;
	}
	TAILQ_REMOVE(&link->dials, dial, waiting);
	dial->is_offered = true;
	dial->slot = slot;
	circuit = &link->circuits.circuits[slot];
	circuit->dialler = me;
	circuit->dial = dial;
	circuit->names[me] = dial->local;
	circuit->names[!me] = dial->remote;
	circuit->opened_ms = vmc_loop_now_ms();
	step(circuit, me, VMC_EVENT_CONNECT);
	step(circuit, !me, VMC_EVENT_OFFER);
	send_offer(link, !me, slot, listener->id);
}

static void link_is_up(struct vmc_link *link)
{
	struct vmc_dial *dial;

	while ((dial = TAILQ_FIRST(&link->dials)))
		offer(dial);
}

static void link_failed(struct vmc_link *link)
{
	struct vmc_dial *dial;

	while ((dial = TAILQ_FIRST(&link->dials)))
		fail_dial(dial, ENOBUFS);
}

static const struct vmc_link_ops link_ops = {
	.up	= link_is_up,
	.failed	= link_failed,
};

/**
 * vmc_connect_owns - whether a name has an address of the VM
 * @vm: the VM
 * @name: checked
 */
bool vmc_connect_owns(const struct vmc_vm *vm, const struct vmc_name *name)
{
	unsigned int i;

	for (i = 0; i < vm->config->nr_addresses; i++) {
		if (vmc_address_is(&vm->config->addresses[i], name))
			return true;
	}
	return false;
}

/* The VM that a name means when @vm dials it, or NULL. */
static struct vmc_vm *find_callee(struct vmc_vm_table *table,
				  struct vmc_vm *vm,
				  const struct vmc_name *remote)
{
	unsigned int i;

	if (vmc_name_is_loopback(remote) || vmc_connect_owns(vm, remote))
		return vm;
	for (i = 0; i < table->nr; i++) {
		if (vmc_connect_owns(&table->vms[i], remote))
			return &table->vms[i];
	}
	return NULL;
}

/*
 * Whether the dialler may use the two names, and whom it reaches. Who is not
 * there, not attached or not permitted looks the same from outside.
 */
static int check_names(struct vmc_vm_table *table, struct vmc_vm *vm,
		       const struct vmc_name *local,
		       const struct vmc_name *remote,
		       struct vmc_vm **ret_callee)
{
	struct vmc_vm *callee;

	if (local->family != remote->family)
		return EAFNOSUPPORT;
	if (!local->port || vmc_name_is_wildcard(remote))
		return EADDRNOTAVAIL;
	/* Nobody listens there, as TCP has it. */
	if (!remote->port)
		return ECONNREFUSED;
	callee = find_callee(table, vm, remote);
	if (!vmc_connect_owns(vm, local) &&
	    !(callee == vm && vmc_name_is_loopback(local)))
		return EADDRNOTAVAIL;
	if (!callee || !callee->is_welcome ||
	    !vmc_policy_allows(table->config, vm->config, callee->config))
		return EHOSTUNREACH;
	*ret_callee = callee;
	return 0;
}

static void start_dial(struct vmc_dial *dial, struct vmc_vm *callee)
{
	struct vmc_link *link;
	unsigned int end = 0;
	int error;

	link = vmc_link_find(dial->vm, callee, &end);
	if (!link) {
		/* No link is made for what is refused anyway. */
		if (!vmc_listener_match(&callee->listeners, &dial->remote, 0)) {
			fail_dial(dial, ECONNREFUSED);
			return;
		}
		error = vmc_link_create(dial->vm, callee, &link_ops, &link);
		if (error) {
			fail_dial(dial, ENOBUFS);
			return;
		}
	}
	dial->link = link;
	dial->end = end;
	TAILQ_INSERT_TAIL(&link->dials, dial, waiting);
	if (link->state == VMC_LINK_UP)
		offer(dial);
}

/**
 * vmc_connect_dial - handle CONNECT
 * @table: the VMs
 * @vm: who dials
 * @raw_connect: unchecked
 */
void vmc_connect_dial(struct vmc_vm_table *table, struct vmc_vm *vm,
		      const struct vmc_connect *raw_connect)
{
	uint32_t cookie = le32toh(raw_connect->cookie);
	struct vmc_name remote = raw_connect->remote;
	struct vmc_name local = raw_connect->local;
	struct vmc_vm *callee;
	struct vmc_dial *dial;
	int error;

	if (raw_connect->pad || vmc_name_check(&local) ||
	    vmc_name_check(&remote)) {
		vmc_vm_fault(vm, "CONNECT %u with a malformed name", cookie);
		return;
	}
	error = check_names(table, vm, &local, &remote, &callee);
	if (error) {
		send_failed(vm, cookie, error);
		return;
	}
	error = vmc_dial_add(&vm->dials, cookie, &dial);
	if (error == -EEXIST) {
		vmc_vm_fault(vm, "CONNECT with cookie %u, which is in use",
			     cookie);
		return;
	}
	if (error) {
		send_failed(vm, cookie, -error);
		return;
	}
	dial->vm = vm;
	dial->tx_bytes = le32toh(raw_connect->tx_bytes);
	dial->rx_bytes = le32toh(raw_connect->rx_bytes);
	dial->local = local;
	dial->remote = remote;
	start_dial(dial, callee);
}

/**
 * vmc_connect_cancel - handle CANCEL
 * @vm: who dialled
 * @cookie: of the CONNECT; unknown when the answer crossed the CANCEL
 */
void vmc_connect_cancel(struct vmc_vm *vm, uint32_t cookie)
{
	struct vmc_dial *dial = vmc_dial_find(&vm->dials, cookie);
	struct vmc_circuit *circuit;
	struct vmc_link *link;
	unsigned int me;

	if (!dial) {
		vm->stats.stale++;
		return;
	}
	link = dial->link;
	if (dial->is_offered) {
		me = dial->end;
		circuit = &link->circuits.circuits[dial->slot];
		circuit->dial = NULL;
		step(circuit, me, VMC_EVENT_CLOSE);
		step(circuit, !me, VMC_EVENT_BREAK);
		send_reset(link, !me, dial->slot, ECONNRESET);
	} else {
		TAILQ_REMOVE(&link->dials, dial, waiting);
	}
	vmc_dial_remove(&vm->dials, dial);
}

enum verdict {
	VERDICT_LIE,		/* end the connection */
	VERDICT_STALE,		/* crossed another message; ignore */
	VERDICT_ESTABLISH,
	VERDICT_REFUSE,		/* the dialler gets FAILED */
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

static void establish(struct vmc_link *link, unsigned int end, uint32_t slot)
{
	struct vmc_circuit *circuit = &link->circuits.circuits[slot];
	struct vmc_dial *dial = circuit->dial;
	struct vmc_connected connected = {
		.id = circuit_id(link, !end, slot),
		.place = ring_place(circuit, !end),
		.cookie = htole32(dial->cookie),
	};

	step(circuit, end, VMC_EVENT_ESTABLISH);
	step(circuit, !end, VMC_EVENT_ESTABLISH);
	circuit->dial = NULL;
	vmc_dial_remove(&dial->vm->dials, dial);
	link->ends[0].vm->stats.circuits_opened++;
	link->ends[1].vm->stats.circuits_opened++;
	vmc_vm_send(link->ends[!end].vm, VMC_MSG_CONNECTED, &connected);
}

static void refuse(struct vmc_link *link, unsigned int end, uint32_t slot,
		   uint32_t raw_error)
{
	struct vmc_circuit *circuit = &link->circuits.circuits[slot];
	int error = ECONNREFUSED;

	if (raw_error && raw_error <= MAX_ERRNO)
		error = (int)raw_error;
	fail_dial(circuit->dial, error);
	circuit->dial = NULL;
	/* The dialler never learned of the circuit. */
	step(circuit, end, VMC_EVENT_CLOSE);
	step(circuit, !end, VMC_EVENT_CLOSE);
	close_if_over(link, slot);
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
 * vmc_connect_answer - handle ACCEPT, REFUSE and CLOSE
 * @vm: the sender
 * @type: which of the three
 * @raw_id: the circuit, unchecked
 * @raw_error: of REFUSE, unchecked
 */
void vmc_connect_answer(struct vmc_vm *vm, unsigned int type,
			const struct vmc_circuit_id *raw_id,
			uint32_t raw_error)
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
		establish(link, end, slot);
		break;
	case VERDICT_REFUSE:
		refuse(link, end, slot, raw_error);
		break;
	case VERDICT_CLOSE:
		step(circuit, end, VMC_EVENT_CLOSE);
		close_if_over(link, slot);
		break;
	}
}

/* Every circuit of a link ends; the dials over it fail. */
static void end_circuits(struct vmc_link *link)
{
	struct vmc_circuit *circuit;
	struct vmc_dial *dial;
	uint32_t slot;
	int i;

	while ((dial = TAILQ_FIRST(&link->dials)))
		fail_dial(dial, EHOSTUNREACH);
	for (slot = 0; slot < link->circuits.nr_fresh; slot++) {
		circuit = &link->circuits.circuits[slot];
		if (circuit->dial)
			fail_dial(circuit->dial, EHOSTUNREACH);
		circuit->dial = NULL;
	}
	for (i = 0; i < 2; i++) {
		link->ends[i].vm->nr_circuits -= link->circuits.nr_open;
		link->ends[i].vm->stats.circuits_reset +=
			link->circuits.nr_open;
	}
	link->circuits.nr_open = 0;
}

/**
 * vmc_connect_leave - a VM starts afresh or is gone
 * @vm: it gets no message about any of this
 *
 * The peers get FAILED for what they were dialling, then LINK_DOWN. Links
 * whose peer is gone already just end.
 */
void vmc_connect_leave(struct vmc_vm *vm)
{
	struct vmc_link *link;
	uint32_t id;

	for (id = 0; id < VMC_MAX_LINKS; id++) {
		link = vm->links[id];
		if (!link)
			continue;
		if (link->state != VMC_LINK_DOWN)
			end_circuits(link);
		vmc_link_leave(link, vm);
	}
	vmc_listener_clear(&vm->listeners);
}
