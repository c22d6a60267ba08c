// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A relay carries the bytes of one circuit between the guest's rings and a
 * host socket: io_uring receives into one ring and sends out of the other, one
 * operation a direction, so a full ring or a full socket stops its own
 * direction and nothing else. Owns the socket and the uplink's end of the
 * circuit. How a relay begins is in outbound.c and inbound.c.
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
#include "switch/relay.h"
#include "switch/uplink.h"

/* How long an acknowledgement may take before sends are copied again, ms. */
#define ZERO_COPY_PATIENCE_MS	2

static struct vmc_uring *uring_of(const struct vmc_relay *relay)
{
	return &relay->trunk->uplink->uring;
}

/* NULL: it is gone. */
static struct vmc_vm *vm_of(const struct vmc_relay *relay)
{
	return relay->trunk->link->ends[!VMC_UPLINK_END].vm;
}

static struct vmc_circuit *circuit_of(const struct vmc_relay *relay)
{
	return &relay->trunk->link->circuits.circuits[relay->slot];
}

static void ring(struct vmc_relay *relay, bool is_wanted)
{
	if (is_wanted)
		vmc_trunk_ring(relay->trunk, relay->slot);
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
	give_circuit(relay);
	vmc_outbound_free(relay->outbound);
	vmc_inbound_free(relay->inbound);
	close(relay->fd);
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

/* The relay is over; @is_reset: the host's peer shall see a reset. */
static void finish(struct vmc_relay *relay, bool is_reset)
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
		vmc_uring_cancel(uring_of(relay), relay->fd);
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
	finish(relay, true);
}

/* The circuit breaks; the guest hears why. */
static void break_circuit(struct vmc_relay *relay, int error)
{
	struct vmc_circuit *circuit = circuit_of(relay);

	if (vm_of(relay) && circuit->states[0] != VMC_STATE_CLOSED) {
		vmc_circuit_step(circuit, 0, VMC_EVENT_BREAK);
		vmc_notice_reset(relay->trunk->link, 0, relay->slot, error);
	}
	finish(relay, true);
}

static void catch_lie(struct vmc_relay *relay)
{
	struct vmc_vm *vm = vm_of(relay);

	if (vm) {
		vm->stats.lies++;
		vmc_log_limited(&vm->log_limit, VMC_LOG_WARNING,
				"vm \"%s\": an index of circuit %u of the uplink is impossible, it is reset",
				vm->config->name, relay->slot);
	}
	break_circuit(relay, ECONNRESET);
}

static bool is_guest_gone(const struct vmc_relay *relay)
{
	return vmc_end_peer_flags(&relay->end) & VMC_CTL_GONE;
}

/* Free bytes of the guest's ring; asks for a bell when there are none. */
static uint32_t find_space(struct vmc_relay *relay)
{
	uint32_t space = vmc_end_writable(&relay->end);

	if (space || relay->end.is_lying)
		return space;
	vmc_end_await_space(&relay->end);
	return vmc_end_writable(&relay->end);
}

static void pump_rx(struct vmc_relay *relay)
{
	struct io_uring_sqe *sqe;
	uint32_t space, bytes;
	uint8_t *to;

	if (relay->rx.nr_due || relay->is_rx_over || is_guest_gone(relay))
		return;
	space = find_space(relay);
	if (relay->end.is_lying) {
		catch_lie(relay);
		return;
	}
	if (!space) {
		/* What the host has still to give will not be asked for. */
		if (relay->host_error)
			break_circuit(relay, relay->host_error);
		return;
	}
	to = vmc_end_tx_span(&relay->end, space, &bytes);
	sqe = vmc_uring_prepare(uring_of(relay), &relay->rx);
	io_uring_prep_recv(sqe, relay->fd, to, bytes, 0);
}

/* Bytes that the guest gave; asks for a bell when there are none. */
static uint32_t find_data(struct vmc_relay *relay, uint32_t *ret_flags)
{
	uint32_t bytes = vmc_end_readable(&relay->end);

	if (!bytes && !relay->end.is_lying)
		vmc_end_await_data(&relay->end);
	/* In this order: who sees FIN sees the final index. */
	*ret_flags = vmc_end_peer_flags(&relay->end);
	return vmc_end_readable(&relay->end);
}

static bool is_worth_zero_copy(const struct vmc_relay *relay, uint32_t bytes)
{
	const struct vmc_config *config = relay->trunk->uplink->table->config;

	return !relay->is_zero_copy_unfit && config->uplink.zero_copy_bytes &&
	       bytes >= config->uplink.zero_copy_bytes;
}

/*
 * Without a copy the ring has no room before the peer has acknowledged what was
 * sent. On a long path, or with a peer that reads late, the host's buffer is
 * worth the copy.
 */
static void judge_zero_copy(struct vmc_relay *relay)
{
	if (vmc_loop_now_ms() - relay->tx_sent_ms > ZERO_COPY_PATIENCE_MS)
		relay->is_zero_copy_unfit = true;
}

/* MPTCP cannot, nor can an old kernel: once more, with a copy. */
static bool is_zero_copy_refused(struct vmc_relay *relay, int result)
{
	if ((result != -EOPNOTSUPP && result != -EINVAL) ||
	    relay->is_zero_copy_unfit)
		return false;
	relay->is_zero_copy_unfit = true;
	return true;
}

static void pump_tx(struct vmc_relay *relay)
{
	struct io_uring_sqe *sqe;
	uint32_t bytes, flags;
	const uint8_t *from;

	if (relay->tx.nr_due || relay->is_tx_over || relay->host_error)
		return;
	bytes = find_data(relay, &flags);
	if (relay->end.is_lying) {
		catch_lie(relay);
		return;
	}
	if (flags & VMC_CTL_RST) {
		finish(relay, true);
		return;
	}
	if (!bytes) {
		if (!(flags & VMC_CTL_FIN))
			return;
		shutdown(relay->fd, SHUT_WR);
		relay->is_tx_over = true;
		return;
	}
	from = vmc_end_rx_span(&relay->end, bytes, &bytes);
	sqe = vmc_uring_prepare(uring_of(relay), &relay->tx);
	if (is_worth_zero_copy(relay, bytes))
		io_uring_prep_send_zc(sqe, relay->fd, from, bytes,
				      MSG_NOSIGNAL, 0);
	else
		io_uring_prep_send(sqe, relay->fd, from, bytes, MSG_NOSIGNAL);
}

static void pump(struct vmc_relay *relay)
{
	pump_tx(relay);
	if (relay->state == VMC_RELAY_OPEN)
		pump_rx(relay);
	if (relay->state == VMC_RELAY_OPEN && relay->is_tx_over &&
	    (relay->is_rx_over || is_guest_gone(relay)))
		finish(relay, false);
}

/*
 * The host's socket failed. What it received before may still be taken, and
 * then the receiving ends, too; the guest hears of it last.
 */
static void host_failed(struct vmc_relay *relay, int error)
{
	if (!relay->host_error)
		relay->host_error = error;
	if (!relay->rx.nr_due)
		break_circuit(relay, relay->host_error);
}

static void rx_done(struct vmc_uring_op *op, int result, unsigned int flags)
{
	struct vmc_relay *relay = vmc_container_of(op, struct vmc_relay, rx);

	(void)flags;
	if (vmc_relay_is_ended(relay))
		return;
	if (result == -EINTR || result == -EAGAIN) {
		pump(relay);
		return;
	}
	if (result < 0) {
		host_failed(relay, -result);
		return;
	}
	if (!result && relay->host_error) {
		break_circuit(relay, relay->host_error);
		return;
	}
	if (result && is_guest_gone(relay)) {
		/* As TCP answers data that comes after close(). */
		finish(relay, true);
		return;
	}
	if (result) {
		if (vm_of(relay))
			vm_of(relay)->stats.bytes_in += (uint32_t)result;
		ring(relay, vmc_end_produce(&relay->end, (uint32_t)result));
	} else {
		relay->is_rx_over = true;
		ring(relay, vmc_end_set_flags(&relay->end, VMC_CTL_FIN));
	}
	pump(relay);
}

static void tx_done(struct vmc_uring_op *op, int result, unsigned int flags)
{
	struct vmc_relay *relay = vmc_container_of(op, struct vmc_relay, tx);

	/* Sent without a copy: the host's TCP still looks at the ring. */
	if (flags & IORING_CQE_F_MORE) {
		relay->tx_result = result;
		relay->tx_sent_ms = vmc_loop_now_ms();
		return;
	}
	if (vmc_relay_is_ended(relay))
		return;
	if (flags & IORING_CQE_F_NOTIF) {
		result = relay->tx_result;
		judge_zero_copy(relay);
	}
	if (is_zero_copy_refused(relay, result)) {
		pump(relay);
		return;
	}
	if (result < 0 && result != -EINTR && result != -EAGAIN) {
		host_failed(relay, -result);
		return;
	}
	if (result > 0) {
		if (vm_of(relay))
			vm_of(relay)->stats.bytes_out += (uint32_t)result;
		ring(relay, vmc_end_consume(&relay->end, (uint32_t)result));
	}
	pump(relay);
}

/* An error while nobody sends and the ring is full, or the end of all. */
static void watch_done(struct vmc_uring_op *op, int result, unsigned int flags)
{
	struct vmc_relay *relay =
		vmc_container_of(op, struct vmc_relay, watch);
	int error;

	(void)flags;
	if (vmc_relay_is_ended(relay) || result < 0)
		return;
	error = vmc_host_socket_error(relay->fd);
	if (error)
		host_failed(relay, error);
}

static void start(struct vmc_relay *relay)
{
	relay->state = VMC_RELAY_OPEN;
	relay->rx.done = rx_done;
	relay->tx.done = tx_done;
	relay->watch.done = watch_done;
	io_uring_prep_poll_add(vmc_uring_prepare(uring_of(relay),
						 &relay->watch),
			       relay->fd, 0);
	vmc_relay_look(relay);
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
	ring(relay, true);
}

/**
 * vmc_relay_look - the guest rang for the circuit
 * @relay: with a circuit
 */
void vmc_relay_look(struct vmc_relay *relay)
{
	if (relay->state != VMC_RELAY_OPEN)
		return;
	look_at_options(relay);
	pump(relay);
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
 * Return: 0, or -ENOSPC when slots or ring space are used up.
 */
int vmc_relay_take_circuit(struct vmc_relay *relay,
			   const struct vmc_name *vm_name,
			   const struct vmc_name *remote,
			   const uint32_t wishes[2])
{
	struct vmc_trunk *trunk = relay->trunk;
	struct vmc_circuit *circuit;
	int error;

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
	start(relay);
}

/**
 * vmc_relay_accepted - the guest took the circuit that came from outside
 * @relay: offered; it opens
 */
void vmc_relay_accepted(struct vmc_relay *relay)
{
	vm_of(relay)->stats.relays_in++;
	vmc_inbound_free(relay->inbound);
	relay->inbound = NULL;
	start(relay);
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
	if (vmc_end_peer_flags(&relay->end) & VMC_CTL_FIN)
		pump(relay);
	else
		finish(relay, true);
}
