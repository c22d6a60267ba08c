// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A relay carries the bytes of one circuit between the guest's rings and a
 * host socket. Owns the socket and the circuit's terminal. How it
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
#include "switch/outbound.h"
#include "switch/pump.h"
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
	return &relay->terminal.trunk->uplink->uring;
}

static struct vmc_relay *relay_of(struct vmc_terminal *terminal)
{
	return vmc_container_of(terminal, struct vmc_relay, terminal);
}

static bool is_idle(const struct vmc_relay *relay)
{
	return !relay->rx.nr_due && !relay->tx.nr_due && !relay->watch.nr_due;
}

/* No operation is under way, or the ring is closed. */
static void destroy(struct vmc_terminal *terminal)
{
	struct vmc_relay *relay = relay_of(terminal);
	struct vmc_trunk *trunk;

	vmc_loop_cancel(terminal->trunk->uplink->loop, &relay->end_task);
	/* First: the host's TCP may still look at the ring. */
	close(relay->fd);
	trunk = vmc_terminal_leave(terminal);
	vmc_outbound_free(relay->outbound);
	vmc_inbound_free(relay->inbound);
	free(relay);
	vmc_trunk_settle(trunk);
}

static void end_task(struct vmc_task *task)
{
	struct vmc_relay *relay =
		vmc_container_of(task, struct vmc_relay, end_task);

	destroy(&relay->terminal);
}

/* Not at once: whoever found the end is still looking at the relay. */
static void destroy_if_idle(struct vmc_relay *relay)
{
	if (is_idle(relay))
		vmc_loop_defer(relay->terminal.trunk->uplink->loop,
			       &relay->end_task);
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
	vmc_terminal_reset(&relay->terminal, error);
	vmc_relay_finish(relay, true);
}

/* What the program chose, and what it wants to know. */
static void look_at_options(struct vmc_relay *relay)
{
	const struct vmc_options *raw = &relay->terminal.end.peer->options;
	struct vmc_figures *figures = &relay->terminal.end.own->figures;
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
	vmc_host_socket_get_figures(relay->fd, figures);
	__atomic_store_n(&figures->serial, htole32(raw_wanted),
			 __ATOMIC_RELEASE);
	vmc_terminal_ring(&relay->terminal, true);
}

static void look(struct vmc_terminal *terminal)
{
	struct vmc_relay *relay = relay_of(terminal);

	if (relay->state != VMC_RELAY_OPEN || relay->is_guest_closed)
		return;
	look_at_options(relay);
	vmc_pump(relay);
}

static void open_relay(struct vmc_relay *relay)
{
	relay->state = VMC_RELAY_OPEN;
	vmc_pump_start(relay);
	look(&relay->terminal);
}

/**
 * vmc_relay_connected - the outside answered what a guest dialled
 * @relay: dialling; it opens
 * @dial: answered with CONNECTED, or FAILED for want of room; freed
 */
void vmc_relay_connected(struct vmc_relay *relay, struct vmc_dial *dial)
{
	if (vmc_terminal_answer(&relay->terminal, dial)) {
		vmc_connect_fail(dial, ENOBUFS);
		vmc_relay_abort(relay);
		return;
	}
	open_relay(relay);
}

/* The guest took the circuit that came from outside. */
static void accepted(struct vmc_terminal *terminal)
{
	struct vmc_relay *relay = relay_of(terminal);

	vmc_terminal_vm(terminal)->stats.relays_in++;
	vmc_inbound_free(relay->inbound);
	relay->inbound = NULL;
	open_relay(relay);
}

static void abort_relay(struct vmc_terminal *terminal)
{
	vmc_relay_abort(relay_of(terminal));
}

/* What the guest sent before still goes out. */
static void guest_closed(struct vmc_terminal *terminal)
{
	struct vmc_relay *relay = relay_of(terminal);

	if (relay->state != VMC_RELAY_OPEN)
		return;
	/* All that it will ever say stands in its control page now. */
	relay->is_guest_closed = true;
	if (vmc_end_peer_flags(&relay->terminal.end) & VMC_CTL_FIN)
		vmc_pump(relay);
	else
		vmc_relay_finish(relay, true);
	/* Nobody is left who could lose patience with who never reads. */
	if (relay->state == VMC_RELAY_OPEN)
		vmc_host_socket_limit_silence(relay->fd, ORPHAN_PATIENCE_MS);
}

static void link_up(struct vmc_terminal *terminal)
{
	struct vmc_relay *relay = relay_of(terminal);

	if (relay->state == VMC_RELAY_WAITING)
		vmc_inbound_offer(relay);
}

static const struct vmc_terminal_ops terminal_ops = {
	.link_up	= link_up,
	.look		= look,
	.accepted	= accepted,
	.refused	= abort_relay,
	.guest_closed	= guest_closed,
	.abort		= abort_relay,
	.destroy	= destroy,
};

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
	vmc_terminal_enter(&relay->terminal, trunk, &terminal_ops);
	relay->fd = fd;
	relay->state = state;
	relay->end_task.run = end_task;
	return relay;
}
