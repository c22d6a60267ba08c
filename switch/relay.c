// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A relay carries the bytes of one circuit between the guest's rings and a
 * host socket. Owns the socket and the uplink's end of the circuit. How it
 * begins is in outbound.c and inbound.c, how bytes move in pump.c.
 *
 * Every operation under way may touch the rings, so the circuit's slot is
 * given back when the last one has ended, never before.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "switch/connect.h"
#include "switch/host_socket.h"
#include "switch/inbound.h"
#include "switch/notice.h"
#include "switch/outbound.h"
#include "switch/pump.h"
#include "switch/quota.h"
#include "switch/relay.h"
#include "switch/uplink.h"

/*
 * How long the outside may take nothing at all of what a guest left behind, ms.
 * The kernel bounds its own orphans in a similar way.
 */
#define ORPHAN_PATIENCE_MS	120000

/**
 * vmc_relay_uring - where a relay's operations run
 * @relay: any
 */
struct vmc_uring *vmc_relay_uring(const struct vmc_relay *relay)
{
	return &relay->trunk->uplink->uring;
}

/**
 * vmc_relay_vm - the VM at the other end
 * @relay: any
 *
 * Return: the VM, or NULL when it is gone.
 */
struct vmc_vm *vmc_relay_vm(const struct vmc_relay *relay)
{
	return relay->trunk->link->ends[!VMC_UPLINK_END].vm;
}

static struct vmc_circuit *circuit_of(const struct vmc_relay *relay)
{
	return &relay->trunk->link->circuits.circuits[relay->slot];
}

static void give_circuit(struct vmc_relay *relay)
{
	struct vmc_link *link = relay->trunk->link;

	if (!relay->has_slot)
		return;
	circuit_of(relay)->relay = NULL;
	vmc_circuit_step(circuit_of(relay), VMC_UPLINK_END, VMC_EVENT_CLOSE);
	vmc_link_close_if_over(link, relay->slot);
}

static bool is_idle(const struct vmc_relay *relay)
{
	return !relay->rx.nr_due && !relay->tx.nr_due && !relay->watch.nr_due;
}

/**
 * vmc_relay_destroy - free a relay at once
 * @relay: no operation is under way, or the ring is closed
 */
void vmc_relay_destroy(struct vmc_relay *relay)
{
	struct vmc_trunk *trunk = relay->trunk;

	vmc_loop_cancel(trunk->uplink->loop, &relay->end_task);
	/* First: the host's TCP may still look at the ring. */
	close(relay->fd);
	give_circuit(relay);
	vmc_outbound_free(relay->outbound);
	vmc_inbound_free(relay->inbound);
	TAILQ_REMOVE(&trunk->relays, relay, of_trunk);
	trunk->uplink->nr_relays--;
	free(relay);
	if (trunk->link->state == VMC_LINK_DOWN && !vmc_trunk_is_busy(trunk))
		vmc_link_release(trunk->link);
}

static void end_task(struct vmc_task *task)
{
	vmc_relay_destroy(vmc_container_of(task, struct vmc_relay, end_task));
}

/* Not at once: whoever found the end is still looking at the relay. */
static void destroy_if_idle(struct vmc_relay *relay)
{
	if (is_idle(relay))
		vmc_loop_defer(relay->trunk->uplink->loop, &relay->end_task);
}

/**
 * vmc_relay_finish - the relay is over
 * @relay: any; freed after its last operation
 * @is_reset: the host's peer shall see a reset
 */
void vmc_relay_finish(struct vmc_relay *relay, bool is_reset)
{
	if (relay->state == VMC_RELAY_ENDING)
		return;
	/* A send without a copy ends with the last use of the ring. */
	if (is_reset && relay->state == VMC_RELAY_OPEN && relay->tx.nr_due)
		vmc_host_socket_reset(relay->fd);
	relay->state = VMC_RELAY_ENDING;
	if (!is_reset)
		vmc_host_socket_end_in_order(relay->fd);
	if (!is_idle(relay))
		vmc_uring_cancel(vmc_relay_uring(relay), relay->fd);
	destroy_if_idle(relay);
}

/**
 * vmc_relay_is_ended - first thing to ask when an operation ends
 * @relay: its operation has ended
 *
 * Return: true when the relay is over; it is freed after its last operation.
 */
bool vmc_relay_is_ended(struct vmc_relay *relay)
{
	if (relay->state != VMC_RELAY_ENDING)
		return false;
	destroy_if_idle(relay);
	return true;
}

/**
 * vmc_relay_abort - reset the host's peer and be gone
 * @relay: any; freed soon
 */
void vmc_relay_abort(struct vmc_relay *relay)
{
	vmc_relay_finish(relay, true);
}

/**
 * vmc_relay_break - the circuit breaks
 * @relay: with a circuit; over afterwards
 * @error: positive errno that the guest hears
 */
void vmc_relay_break(struct vmc_relay *relay, int error)
{
	struct vmc_circuit *circuit = circuit_of(relay);

	if (vmc_relay_vm(relay) && circuit->states[0] != VMC_STATE_CLOSED) {
		vmc_circuit_step(circuit, 0, VMC_EVENT_BREAK);
		vmc_notice_reset(relay->trunk->link, 0, relay->slot, error);
	}
	vmc_relay_finish(relay, true);
}

/* What the program chose, and what it wants to know. */
static void look_at_options(struct vmc_relay *relay)
{
	const struct vmc_options *raw = &relay->end.peer->options;
	uint32_t raw_serial, raw_wanted;

	raw_serial = le32toh(__atomic_load_n(&raw->serial, __ATOMIC_ACQUIRE));
	if (raw_serial != relay->options_seen) {
		relay->options_seen = raw_serial;
		vmc_host_socket_set_options(relay->fd, raw);
	}
	raw_wanted = le32toh(__atomic_load_n(&raw->figures_wanted,
					     __ATOMIC_ACQUIRE));
	if (raw_wanted == relay->figures_seen)
		return;
	relay->figures_seen = raw_wanted;
	vmc_host_socket_get_figures(relay->fd, &relay->end.own->figures);
	__atomic_store_n(&relay->end.own->figures.serial, htole32(raw_wanted),
			 __ATOMIC_RELEASE);
	vmc_trunk_ring(relay->trunk, relay->slot);
}

/**
 * vmc_relay_look - the guest rang for the circuit
 * @relay: with a circuit
 */
void vmc_relay_look(struct vmc_relay *relay)
{
	if (relay->state != VMC_RELAY_OPEN || relay->is_guest_closed)
		return;
	look_at_options(relay);
	vmc_pump(relay);
}

static void open_relay(struct vmc_relay *relay)
{
	relay->state = VMC_RELAY_OPEN;
	vmc_pump_start(relay);
	vmc_relay_look(relay);
}

/**
 * vmc_relay_create - put a relay in front of a host socket
 * @trunk: to the VM
 * @fd: the relay's from now on, closed on failure, too
 * @state: where it begins
 *
 * Return: the relay, or NULL for want of memory.
 */
struct vmc_relay *vmc_relay_create(struct vmc_trunk *trunk, int fd,
				   enum vmc_relay_state state)
{
	struct vmc_relay *relay = calloc(1, sizeof(*relay));

	if (!relay) {
		close(fd);
		return NULL;
	}
	vmc_host_socket_prepare(fd);
	relay->trunk = trunk;
	relay->fd = fd;
	relay->state = state;
	relay->end_task.run = end_task;
	TAILQ_INSERT_TAIL(&trunk->relays, relay, of_trunk);
	trunk->uplink->nr_relays++;
	return relay;
}

/**
 * vmc_relay_take_circuit - give a relay a circuit
 * @relay: without one; its link is up
 * @vm_name: the name of the VM's end
 * @remote: the name of the outside's end
 * @wishes: wished bytes of the ring that each end writes, 0: default
 *
 * Return: 0, -ENOSPC when slots or ring space are used up, -EDQUOT when the VM
 * is at its limit.
 */
int vmc_relay_take_circuit(struct vmc_relay *relay,
			   const struct vmc_name *vm_name,
			   const struct vmc_name *remote,
			   const uint32_t wishes[2])
{
	struct vmc_trunk *trunk = relay->trunk;
	struct vmc_circuit *circuit;
	int error;

	if (!vmc_quota_may_take(vmc_relay_vm(relay)))
		return -EDQUOT;
	error = vmc_link_open_circuit(trunk->link, wishes, &relay->slot);
	if (error)
		return error;
	relay->has_slot = true;
	circuit = circuit_of(relay);
	circuit->relay = relay;
	circuit->names[!VMC_UPLINK_END] = *vm_name;
	circuit->names[VMC_UPLINK_END] = *remote;
	circuit->opened_ms = vmc_loop_now_ms();
	vmc_end_init(&relay->end, trunk->tx, trunk->rx, relay->slot,
		     circuit->offsets[VMC_UPLINK_END],
		     circuit->bytes[VMC_UPLINK_END],
		     circuit->offsets[!VMC_UPLINK_END],
		     circuit->bytes[!VMC_UPLINK_END]);
	vmc_bell_seat(&trunk->bell, relay->slot);
	return 0;
}

/**
 * vmc_relay_connected - the outside answered what a guest dialled
 * @relay: dialling; it opens
 * @dial: answered with CONNECTED, or FAILED for want of room; freed
 */
void vmc_relay_connected(struct vmc_relay *relay, struct vmc_dial *dial)
{
	const uint32_t wishes[2] = { dial->tx_bytes, dial->rx_bytes };
	struct vmc_circuit *circuit;
	unsigned int me = dial->end;

	if (vmc_relay_take_circuit(relay, &dial->local, &dial->remote,
				   wishes)) {
		vmc_connect_fail(dial, ENOBUFS);
		vmc_relay_abort(relay);
		return;
	}
	circuit = circuit_of(relay);
	circuit->dialler = me;
	vmc_circuit_step(circuit, me, VMC_EVENT_CONNECT);
	vmc_circuit_step(circuit, me, VMC_EVENT_ESTABLISH);
	vmc_circuit_step(circuit, !me, VMC_EVENT_OFFER);
	vmc_circuit_step(circuit, !me, VMC_EVENT_ESTABLISH);
	dial->vm->stats.circuits_opened++;
	dial->vm->stats.relays_out++;
	vmc_notice_connected(relay->trunk->link, me, relay->slot,
			     dial->cookie);
	vmc_dial_remove(&dial->vm->dials, dial);
	open_relay(relay);
}

/**
 * vmc_relay_accepted - the guest took the circuit that came from outside
 * @relay: offered; it opens
 */
void vmc_relay_accepted(struct vmc_relay *relay)
{
	vmc_relay_vm(relay)->stats.relays_in++;
	vmc_inbound_free(relay->inbound);
	relay->inbound = NULL;
	open_relay(relay);
}

/**
 * vmc_relay_refused - the guest did not take it
 * @relay: offered; freed soon
 */
void vmc_relay_refused(struct vmc_relay *relay)
{
	vmc_relay_abort(relay);
}

/**
 * vmc_relay_guest_closed - the guest said CLOSE
 * @relay: what the guest sent before still goes out
 */
void vmc_relay_guest_closed(struct vmc_relay *relay)
{
	if (relay->state != VMC_RELAY_OPEN)
		return;
	/* All that it will ever say stands in its control page now. */
	relay->is_guest_closed = true;
	if (vmc_end_peer_flags(&relay->end) & VMC_CTL_FIN)
		vmc_pump(relay);
	else
		vmc_relay_finish(relay, true);
	/* Nobody is left who could lose patience with who never reads. */
	if (relay->state == VMC_RELAY_OPEN)
		vmc_host_socket_limit_silence(relay->fd, ORPHAN_PATIENCE_MS);
}
