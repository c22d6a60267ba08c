// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pump of a relay: the bytes between a guest's rings and a host socket.
 * io_uring receives into one ring and sends out of the other, one operation a
 * direction, so a full ring or a full socket stops its own direction and
 * nothing else. Owns nothing; the relay's life is relay.c's, which calls it.
 */
#include <errno.h>
#include <sys/socket.h>

#include "switch/host_socket.h"
#include "switch/pump.h"
#include "switch/relay.h"
#include "switch/uplink.h"

/* How long an acknowledgement may take before sends are copied again, ms. */
#define ZERO_COPY_PATIENCE_MS	2

static void catch_lie(struct vmc_relay *relay)
{
	vmc_terminal_count_lie(&relay->terminal);
	vmc_relay_break(relay, ECONNRESET);
}

static bool is_guest_gone(const struct vmc_relay *relay)
{
	return vmc_end_peer_flags(&relay->terminal.end) & VMC_CTL_GONE;
}

/* Free bytes of the guest's ring; asks for a bell when there are none. */
static uint32_t find_space(struct vmc_relay *relay)
{
	uint32_t space = vmc_end_writable(&relay->terminal.end);

	if (space || relay->terminal.end.is_lying)
		return space;
	vmc_end_await_space(&relay->terminal.end);
	return vmc_end_writable(&relay->terminal.end);
}

static void pump_rx(struct vmc_relay *relay)
{
	struct io_uring_sqe *sqe;
	uint32_t space, bytes;
	uint8_t *to;

	if (relay->rx.nr_due || relay->is_rx_over || is_guest_gone(relay))
		return;
	space = find_space(relay);
	if (relay->terminal.end.is_lying) {
		catch_lie(relay);
		return;
	}
	if (!space) {
		/* What the host has still to give will not be asked for. */
		if (relay->host_error)
			vmc_relay_break(relay, relay->host_error);
		return;
	}
	to = vmc_end_tx_span(&relay->terminal.end, space, &bytes);
	sqe = vmc_uring_prepare(vmc_relay_uring(relay), &relay->rx);
	io_uring_prep_recv(sqe, relay->fd, to, bytes, 0);
}

/* Bytes that the guest gave; asks for a bell when there are none. */
static uint32_t find_data(struct vmc_relay *relay, uint32_t *ret_flags)
{
	uint32_t bytes = vmc_end_readable(&relay->terminal.end);

	if (!bytes && !relay->terminal.end.is_lying)
		vmc_end_await_data(&relay->terminal.end);
	/* In this order: who sees FIN sees the final index. */
	*ret_flags = vmc_end_peer_flags(&relay->terminal.end);
	return vmc_end_readable(&relay->terminal.end);
}

static bool is_worth_zero_copy(const struct vmc_relay *relay, uint32_t bytes)
{
	const struct vmc_trunk *trunk = relay->terminal.trunk;
	const struct vmc_config *config = trunk->uplink->table->config;

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

/*
 * MPTCP cannot, nor can an old kernel, nor a process that may lock no more
 * memory: once more, with a copy.
 */
static bool is_zero_copy_refused(struct vmc_relay *relay, int result)
{
	if ((result != -EOPNOTSUPP && result != -EINVAL &&
	     result != -ENOMEM && result != -ENOBUFS) ||
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
	if (relay->terminal.end.is_lying) {
		catch_lie(relay);
		return;
	}
	if (!bytes) {
		if (!(flags & VMC_CTL_FIN))
			return;
		shutdown(relay->fd, SHUT_WR);
		relay->is_tx_over = true;
		return;
	}
	from = vmc_end_rx_span(&relay->terminal.end, bytes, &bytes);
	sqe = vmc_uring_prepare(vmc_relay_uring(relay), &relay->tx);
	if (is_worth_zero_copy(relay, bytes))
		io_uring_prep_send_zc(sqe, relay->fd, from, bytes,
				      MSG_NOSIGNAL, 0);
	else
		io_uring_prep_send(sqe, relay->fd, from, bytes, MSG_NOSIGNAL);
}

/**
 * vmc_pump - move on whatever can move
 * @relay: open; perhaps over afterwards
 */
void vmc_pump(struct vmc_relay *relay)
{
	/* At any time, also while the host's socket takes no more. */
	if (vmc_end_peer_flags(&relay->terminal.end) & VMC_CTL_RST) {
		vmc_relay_finish(relay, true);
		return;
	}
	pump_tx(relay);
	if (relay->state == VMC_RELAY_OPEN)
		pump_rx(relay);
	if (relay->state == VMC_RELAY_OPEN && relay->is_tx_over &&
	    (relay->is_rx_over || is_guest_gone(relay)))
		vmc_relay_finish(relay, relay->is_rx_refused);
}

/*
 * The host's socket failed. What it received before may still be taken, and
 * then the receiving ends, too; the guest hears of it last.
 */
static void host_failed(struct vmc_relay *relay, int error)
{
	if (!relay->host_error)
		relay->host_error = error;
	/* Not every error ends the socket; this ends the receiving. */
	if (relay->rx.nr_due)
		shutdown(relay->fd, SHUT_RD);
	else
		vmc_relay_break(relay, relay->host_error);
}

/*
 * Whether the host's peer has sent its last byte already, as a server that
 * answers and closes does: then one bell tells the guest of both.
 */
static bool is_host_over(struct vmc_relay *relay)
{
	uint8_t next;
	ssize_t got = recv(relay->fd, &next, sizeof(next),
			   MSG_PEEK | MSG_DONTWAIT);

	/* Whoever reads the error takes it away. */
	if (got < 0 && errno != EAGAIN && errno != EINTR && !relay->host_error)
		relay->host_error = errno;
	return !got && !relay->host_error;
}

/* The host's peer sends no more; true when the guest is to be rung. */
static bool rx_end(struct vmc_relay *relay)
{
	relay->is_rx_over = true;
	vmc_end_set_flags(&relay->terminal.end, VMC_CTL_FIN);
	/* A guest that waits has asked for data, any other will look. */
	return vmc_end_produce(&relay->terminal.end, 0);
}

/* Bytes are in the guest's ring. */
static void rx_give(struct vmc_relay *relay, uint32_t bytes)
{
	bool is_wanted = vmc_end_produce(&relay->terminal.end, bytes);
	struct vmc_vm *vm = vmc_terminal_vm(&relay->terminal);

	if (vm)
		vm->stats.bytes_in += bytes;
	if (is_host_over(relay))
		is_wanted |= rx_end(relay);
	vmc_terminal_ring(&relay->terminal, is_wanted);
}

static void rx_done(struct vmc_uring_op *op, int result, unsigned int flags)
{
	struct vmc_relay *relay = vmc_container_of(op, struct vmc_relay, rx);

	(void)flags;
	if (vmc_relay_is_ended(relay))
		return;
	if (result == -EINTR || result == -EAGAIN) {
		vmc_pump(relay);
		return;
	}
	if (result < 0) {
		host_failed(relay, -result);
		return;
	}
	if (!result && relay->host_error) {
		vmc_relay_break(relay, relay->host_error);
		return;
	}
	if (result && is_guest_gone(relay)) {
		/*
		 * As TCP answers data that comes after close(): with a reset,
		 * behind what the guest had to say, its FIN included.
		 */
		relay->is_rx_over = true;
		relay->is_rx_refused = true;
		vmc_pump(relay);
		return;
	}
	if (result)
		rx_give(relay, (uint32_t)result);
	else
		vmc_terminal_ring(&relay->terminal, rx_end(relay));
	vmc_pump(relay);
}

static void tx_done(struct vmc_uring_op *op, int result, unsigned int flags)
{
	struct vmc_relay *relay = vmc_container_of(op, struct vmc_relay, tx);
	struct vmc_vm *vm = vmc_terminal_vm(&relay->terminal);

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
		vmc_pump(relay);
		return;
	}
	if (result < 0 && result != -EINTR && result != -EAGAIN) {
		host_failed(relay, -result);
		return;
	}
	if (result > 0) {
		if (vm)
			vm->stats.bytes_out += (uint32_t)result;
		vmc_terminal_ring(&relay->terminal,
				  vmc_end_consume(&relay->terminal.end,
						  (uint32_t)result));
	}
	vmc_pump(relay);
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

/**
 * vmc_pump_start - begin to move bytes
 * @relay: open, with a circuit
 */
void vmc_pump_start(struct vmc_relay *relay)
{
	relay->rx.done = rx_done;
	relay->tx.done = tx_done;
	relay->watch.done = watch_done;
	io_uring_prep_poll_add(vmc_uring_prepare(vmc_relay_uring(relay),
						 &relay->watch),
			       relay->fd, 0);
}
