// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How a circuit begins: CONNECT, whom it reaches, the OFFER to another VM or
 * the uplink, and CANCEL. The objects belong to link.c, circuit.c and dial.c;
 * what the other end answers is answer.c's. Called by broker.c.
 */
#include <endian.h>
#include <errno.h>

#include "switch/address.h"
#include "switch/answer.h"
#include "switch/connect.h"
#include "switch/hub.h"
#include "switch/notice.h"
#include "switch/outbound.h"
#include "switch/policy.h"
#include "switch/quota.h"
#include "switch/uplink.h"

/* Messages that a process left unread, beside those in its socket's buffer. */
#define MAX_WAITING_OFFERS	64

/**
 * vmc_connect_fail - answer a CONNECT with FAILED
 * @dial: freed
 * @error: positive errno
 */
void vmc_connect_fail(struct vmc_dial *dial, int error)
{
	if (dial->stage == VMC_DIAL_WAITING)
		TAILQ_REMOVE(&dial->link->dials, dial, waiting);
	vmc_notice_failed(dial->vm, dial->cookie, error);
	vmc_dial_remove(&dial->vm->dials, dial);
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/*
 * A process takes a circuit when its program gets round to it. What waits for
 * that has descriptors of ours.
 */
static bool is_too_far_behind(const struct vmc_vm *callee)
{
	return callee->config->is_endpoint &&
	       vmc_outbox_fill(&callee->outbox) > MAX_WAITING_OFFERS;
}

/*
 * Who gets the circuit at the VM that was dialled; NULL if nobody does. Guests
 * say nothing of sockets that wait for datagrams: they look for themselves.
 */
static const struct vmc_listener *find_listener(const struct vmc_dial *dial,
						const struct vmc_vm *callee,
						uint64_t hash)
{
	static const struct vmc_listener any_socket;

	if (!dial->is_datagram)
		return vmc_listener_match(&callee->listeners, &dial->remote,
					  hash);
	return callee->takes_datagrams ? &any_socket : NULL;
}

/* A process cannot be told that its circuit was refused after all. */
static bool is_told_of_resets(const struct vmc_vm *dialler)
{
	return !dialler->config->is_endpoint;
}

/* The link to a VM is up: find the listener and offer it the circuit. */
static void offer(struct vmc_dial *dial)
{
	struct vmc_link *link = dial->link;
	unsigned int me = dial->end;
	struct vmc_vm *callee = link->ends[!me].vm;
	const struct vmc_listener *listener;
	struct vmc_circuit *circuit;
	uint32_t wishes[2], slot;
	bool is_prompt;

	listener = find_listener(dial, callee,
				 vmc_name_hash(&dial->local, &dial->remote));
	if (!listener) {
		vmc_connect_fail(dial, ECONNREFUSED);
		return;
	}
	if (is_too_far_behind(callee)) {
		vmc_connect_fail(dial, ECONNREFUSED);
		return;
	}
	wishes[me] = larger(dial->tx_bytes, listener->rx_bytes);
	wishes[!me] = larger(dial->rx_bytes, listener->tx_bytes);
	if (vmc_outbox_is_crowded(&callee->outbox) ||
	    !vmc_quota_may_take(dial->vm) || !vmc_quota_may_take(callee) ||
	    vmc_link_open_circuit(link, wishes, false, &slot)) {
		vmc_connect_fail(dial, ENOBUFS);
		return;
	}
	TAILQ_REMOVE(&link->dials, dial, waiting);
	dial->stage = VMC_DIAL_OFFERED;
	dial->slot = slot;
	circuit = &link->circuits.circuits[slot];
	circuit->dialler = me;
	circuit->is_datagram = dial->is_datagram;
	circuit->dial = dial;
	circuit->names[me] = dial->local;
	circuit->names[!me] = dial->remote;
	circuit->opened_ms = vmc_loop_now_ms();
	vmc_circuit_step(circuit, me, VMC_EVENT_CONNECT);
	is_prompt = is_told_of_resets(dial->vm) &&
		    vmc_listener_is_prompt(listener, callee == dial->vm);
	/* Before the OFFER: who dials itself is connected before it accepts. */
	if (is_prompt)
		vmc_answer_dial(link, slot);
	vmc_link_offer(link, !me, slot, listener->id);
	vmc_notice_offer(link, !me, slot, listener->id);
	/* A process is told; what waits for its accept() waits in the ring. */
	if (callee->config->is_endpoint)
		vmc_answer_establish(link, !me, slot);
}

static void go_on(struct vmc_dial *dial)
{
	if (!dial->link->trunk)
		offer(dial);
	else if (dial->hub)
		vmc_hub_open(dial->hub, dial);
	else if (dial->is_datagram)
		vmc_flow_dial(dial);
	else
		vmc_outbound_dial(dial);
}

static void link_is_up(struct vmc_link *link)
{
	struct vmc_dial *dial;

	if (link->trunk)
		vmc_trunk_up(link->trunk);
	while ((dial = TAILQ_FIRST(&link->dials)))
		go_on(dial);
}

static void link_failed(struct vmc_link *link)
{
	struct vmc_dial *dial;

	if (link->trunk)
		vmc_trunk_abort(link->trunk);
	while ((dial = TAILQ_FIRST(&link->dials)))
		vmc_connect_fail(dial, ENOBUFS);
}

static const struct vmc_link_ops link_ops = {
	.up	= link_is_up,
	.failed	= link_failed,
};

/**
 * vmc_connect_link_to_uplink - the link between a VM and the uplink
 * @vm: the VM, welcome
 * @uplink: the uplink
 * @ret_link: the link, up or being mapped
 *
 * Return: 0, or -ENOBUFS.
 */
int vmc_connect_link_to_uplink(struct vmc_vm *vm, struct vmc_uplink *uplink,
			       struct vmc_link **ret_link)
{
	*ret_link = vmc_link_find_to_uplink(vm);
	if (*ret_link)
		return 0;
	if (vmc_link_create_to_uplink(vm, uplink, &link_ops, ret_link))
		return -ENOBUFS;
	return 0;
}

/*
 * The VM that a name means when @vm dials it, or NULL. Of an endpoint's
 * processes that is who listens there, else any that is there.
 */
static struct vmc_vm *find_callee(struct vmc_vm_table *table,
				  struct vmc_vm *vm,
				  const struct vmc_name *remote)
{
	struct vmc_vm *other, *found = NULL;
	unsigned int i;

	if (vmc_name_is_loopback(remote))
		return vm;
	for (i = 0; i < table->nr; i++) {
		other = &table->vms[i];
		if (!vmc_config_vm_owns(other->config, remote))
			continue;
		if (!other->config->is_endpoint ||
		    vmc_listener_match(&other->listeners, remote, 0))
			return other;
		if (!found || !found->is_welcome)
			found = other;
	}
	return found;
}

/*
 * Whether the dialler may use the two names, and whom it reaches: a VM, or
 * with no callee the outside. A VM that is not there, not attached or not
 * permitted looks the same from outside.
 */
static int check_names(struct vmc_vm_table *table, struct vmc_vm *vm,
		       enum vmc_protocol protocol,
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
	if (!vmc_config_vm_owns(vm->config, local) &&
	    !(callee == vm && vmc_name_is_loopback(local)))
		return EADDRNOTAVAIL;
	*ret_callee = callee;
	/* A process has the host's own sockets for the outside. */
	if (!callee && table->uplink && !vm->config->is_endpoint)
		return vmc_uplink_check(table->uplink, vm, protocol, remote);
	if (!callee || !callee->is_welcome ||
	    !vmc_policy_allows(table->config, vm->config, callee->config))
		return EHOSTUNREACH;
	return 0;
}

/* The link to a VM; none is made for what is refused anyway. */
static int find_link(struct vmc_dial *dial, struct vmc_vm *callee)
{
	dial->link = vmc_link_find(dial->vm, callee, &dial->end);
	if (dial->link)
		return 0;
	if (!find_listener(dial, callee, 0))
		return -ECONNREFUSED;
	if (vmc_link_create(dial->vm, callee, &link_ops, &dial->link))
		return -ENOBUFS;
	return 0;
}

/* @callee: NULL: the switch itself. */
static void start_dial(struct vmc_dial *dial, struct vmc_vm *callee,
		       struct vmc_uplink *uplink)
{
	int error;

	if (callee)
		error = find_link(dial, callee);
	else
		error = vmc_connect_link_to_uplink(dial->vm, uplink,
						   &dial->link);
	if (error) {
		vmc_connect_fail(dial, -error);
		return;
	}
	dial->stage = VMC_DIAL_WAITING;
	TAILQ_INSERT_TAIL(&dial->link->dials, dial, waiting);
	if (dial->link->state == VMC_LINK_UP)
		go_on(dial);
}

/* Whether they exist, and go together. */
static bool are_flags_sound(uint32_t flags)
{
	return !(flags & ~(VMC_CIRCUIT_DATAGRAM | VMC_CIRCUIT_HUB)) &&
	       flags != (VMC_CIRCUIT_DATAGRAM | VMC_CIRCUIT_HUB);
}

/* Whether the circuit may be, and whom it reaches; 0 or errno. */
static int check_dial(struct vmc_vm_table *table, struct vmc_vm *vm,
		      uint32_t flags, const struct vmc_name *local,
		      const struct vmc_name *remote,
		      struct vmc_vm **ret_callee)
{
	enum vmc_protocol protocol = flags & VMC_CIRCUIT_DATAGRAM ?
				     VMC_PROTOCOL_UDP : VMC_PROTOCOL_TCP;
	bool is_free = false;
	int error;

	if (flags & VMC_CIRCUIT_HUB) {
		/* A process has no trunk, nor packets. */
		error = vm->config->is_endpoint ? EOPNOTSUPP : 0;
		/* Each VM has a port, but is not to open it again and again. */
		is_free = !vm->has_dialled_hub;
		vm->has_dialled_hub = true;
	} else {
		error = check_names(table, vm, protocol, local, remote,
				    ret_callee);
	}
	return error || is_free ? error : vmc_quota_take_connect(vm);
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
	uint32_t flags = le32toh(raw_connect->flags);
	struct vmc_name remote = raw_connect->remote;
	struct vmc_name local = raw_connect->local;
	struct vmc_vm *callee = NULL;
	struct vmc_dial *dial;
	int error;

	if (!are_flags_sound(flags) || vmc_name_check(&local) ||
	    vmc_name_check(&remote)) {
		vmc_vm_fault(vm, "CONNECT %u with a malformed name or flags",
			     cookie);
		return;
	}
	error = check_dial(table, vm, flags, &local, &remote, &callee);
	if (error) {
		vmc_notice_failed(vm, cookie, error);
		return;
	}
	error = vmc_dial_add(&vm->dials, cookie, &dial);
	if (error == -EEXIST) {
		vmc_vm_fault(vm, "CONNECT with cookie %u, which is in use",
			     cookie);
		return;
	}
	if (error) {
		vmc_notice_failed(vm, cookie, -error);
		return;
	}
	dial->vm = vm;
	dial->tx_bytes = le32toh(raw_connect->tx_bytes);
	dial->rx_bytes = le32toh(raw_connect->rx_bytes);
	dial->is_datagram = flags & VMC_CIRCUIT_DATAGRAM;
	dial->hub = flags & VMC_CIRCUIT_HUB ? table : NULL;
	dial->local = local;
	dial->remote = remote;
	start_dial(dial, callee, table->uplink);
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
	switch (dial->stage) {
	case VMC_DIAL_OFFERED:
		link = dial->link;
		me = dial->end;
		circuit = &link->circuits.circuits[dial->slot];
		circuit->dial = NULL;
		vmc_circuit_step(circuit, me, VMC_EVENT_CLOSE);
		vmc_link_step(link, !me, dial->slot, VMC_EVENT_BREAK);
		vmc_notice_reset(link, !me, dial->slot, ECONNRESET);
		break;
	case VMC_DIAL_OUTSIDE:
		vmc_outbound_cancel(dial->relay);
		break;
	case VMC_DIAL_WAITING:
		TAILQ_REMOVE(&dial->link->dials, dial, waiting);
		break;
	case VMC_DIAL_NEW:
		break;
	}
	vmc_dial_remove(&vm->dials, dial);
}
