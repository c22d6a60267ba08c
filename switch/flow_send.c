// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Datagrams from rings to host sockets, without a copy of ours: a send's pieces
 * are the records in the ring. Datagrams of one size that follow each other go
 * as one send, which the kernel or the card takes apart (UDP_SEGMENT); the sends of all flows in one turn of the loop go in one system call. Flows
 * take turns. Owns the sends and the queue of flows that have something to
 * send. Called by flow.c and datagram_socket.c.
 *
 * A socket that takes no more stops its own flows only: what they have stays in
 * their rings, so that in the end the guests' programs wait.
 */
#include <endian.h>
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "lib/shared.h"
#include "proto/record.h"
#include "switch/flow.h"
#include "switch/uplink.h"

/* Sends of one flow under way, before others have their turn. */
#define SENDS_PER_FLOW	16
/* What one send may carry, whatever the headers are. */
#define SEND_MAX_BYTES	65000U
/* Errors of the socket may be those of datagrams that were sent before. */
#define MAX_RETRIES	3

static void enqueue(struct vmc_flow *flow, struct vmc_flow_list *queue)
{
	if (flow->queue)
		return;
	flow->queue = queue;
	TAILQ_INSERT_TAIL(queue, flow, queued);
}

/**
 * vmc_flow_unqueue - a flow has nothing to send
 * @flow: any
 */
void vmc_flow_unqueue(struct vmc_flow *flow)
{
	if (flow->queue)
		TAILQ_REMOVE(flow->queue, flow, queued);
	flow->queue = NULL;
}

/**
 * vmc_flow_send - a flow has something to send
 * @flow: open
 */
void vmc_flow_send(struct vmc_flow *flow)
{
	struct vmc_flow_table *table = vmc_flow_table_of(flow);

	/* What is under way goes on by itself. */
	if (flow->nr_sending)
		return;
	enqueue(flow, &table->ready);
	vmc_loop_defer(table->loop, &table->send_task);
}

/**
 * vmc_flow_send_again - the socket has room again
 * @flow: blocked
 */
void vmc_flow_send_again(struct vmc_flow *flow)
{
	vmc_flow_unqueue(flow);
	vmc_flow_send(flow);
}

/* The header of the record @skip bytes behind the consumer index, read once. */
static uint64_t read_head(const struct vmc_end *end, uint32_t skip)
{
	uint32_t at = (end->cons + skip) & (end->rx_bytes - 1);

	return le64toh(__atomic_load_n((const uint64_t *)(end->rx + at),
				       __ATOMIC_RELAXED));
}

static uint32_t head_bytes(uint64_t head)
{
	return (uint32_t)head;
}

/* What two datagrams of one send have in common. */
static uint32_t head_traits(uint64_t head)
{
	return (uint32_t)(head >> 32);
}

/* A datagram's place in the ring, which may be in two pieces. */
static void add_parts(struct vmc_flow_send *send, const struct vmc_end *end,
		      uint32_t skip, uint32_t bytes)
{
	uint32_t at = end->cons + skip + (uint32_t)sizeof(struct vmc_record);
	uint32_t span = vmc_ring_span(at, end->rx_bytes, bytes);

	send->parts[send->nr_parts++] = (struct iovec){
		.iov_base = (void *)(end->rx + (at & (end->rx_bytes - 1))),
		.iov_len = span,
	};
	if (span < bytes)
		send->parts[send->nr_parts++] = (struct iovec){
			.iov_base = (void *)end->rx,
			.iov_len = bytes - span,
		};
}

/* Whether a datagram goes with those that a send has already. */
static bool may_join(const struct vmc_flow *flow,
		     const struct vmc_flow_send *send, uint64_t head)
{
	uint32_t bytes = head_bytes(head);

	return send->first_bytes <= flow->segment_max && bytes &&
	       bytes <= send->first_bytes &&
	       send->nr_datagrams < VMC_FLOW_SEND_MAX &&
	       send->payload_bytes + bytes <= SEND_MAX_BYTES &&
	       head_traits(head) == head_traits(send->head);
}

/*
 * As many of the flow's next datagrams as go together. Return: false when a
 * record is a lie.
 */
static bool fill_send(struct vmc_flow_send *send, uint32_t fill)
{
	struct vmc_flow *flow = send->flow;
	const struct vmc_end *end = &flow->terminal.end;
	uint32_t at = flow->taken_bytes, bytes, span;
	uint64_t head;

	send->nr_datagrams = 0;
	send->nr_parts = 0;
	send->payload_bytes = 0;
	do {
		head = read_head(end, at);
		bytes = head_bytes(head);
		span = vmc_record_check(bytes, fill - at);
		if (!span)
			return false;
		if (!send->nr_datagrams) {
			send->head = head;
			send->first_bytes = bytes;
		} else if (!may_join(flow, send, head)) {
			break;
		}
		add_parts(send, end, at, bytes);
		send->payload_bytes += bytes;
		send->nr_datagrams++;
		at += span;
		/* A smaller one can only be the last. */
	} while (at < fill && bytes == send->first_bytes && bytes);
	send->end_bytes = at;
	flow->taken_bytes = at;
	return true;
}

static void add_control(struct vmc_flow_send *send, int level, int type,
			const void *data, size_t bytes)
{
	struct cmsghdr *control = (struct cmsghdr *)
		(send->control.bytes + send->message.msg_controllen);

	control->cmsg_level = level;
	control->cmsg_type = type;
	control->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(control), data, bytes);
	send->message.msg_controllen += CMSG_SPACE(bytes);
}

static void add_controls(struct vmc_flow_send *send)
{
	bool is_inet = send->flow->target.family == VMC_FAMILY_INET;
	int level = is_inet ? IPPROTO_IP : IPPROTO_IPV6;
	uint32_t traits = head_traits(send->head);
	uint16_t segment = (uint16_t)send->first_bytes;
	int traffic_class = traits & 0xff;
	int hop_limit = traits >> 8 & 0xff;

	if (send->nr_datagrams > 1)
		add_control(send, IPPROTO_UDP, UDP_SEGMENT, &segment,
			    sizeof(segment));
	if (send->flow->has_source && is_inet)
		add_control(send, IPPROTO_IP, IP_PKTINFO,
			    &send->flow->source.inet,
			    sizeof(send->flow->source.inet));
	else if (send->flow->has_source)
		add_control(send, IPPROTO_IPV6, IPV6_PKTINFO,
			    &send->flow->source.inet6,
			    sizeof(send->flow->source.inet6));
	if (traffic_class)
		add_control(send, level, is_inet ? IP_TOS : IPV6_TCLASS,
			    &traffic_class, sizeof(traffic_class));
	if (hop_limit)
		add_control(send, level, is_inet ? IP_TTL : IPV6_HOPLIMIT,
			    &hop_limit, sizeof(hop_limit));
}

static void post(struct vmc_flow_send *send)
{
	const struct vmc_datagram_socket *socket = send->flow->socket;

	io_uring_prep_sendmsg(vmc_uring_prepare(&socket->uplink->uring,
						&send->op),
			      socket->fd, &send->message,
			      MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void submit(struct vmc_flow_send *send)
{
	struct vmc_flow *flow = send->flow;
	struct vmc_datagram_socket *socket = flow->socket;

	vmc_datagram_socket_set_whole(socket, head_traits(send->head) >> 16 &
					      VMC_RECORD_WHOLE);
	send->message = (struct msghdr){
		.msg_name = &flow->address,
		.msg_namelen = flow->address_bytes,
		.msg_iov = send->parts,
		.msg_iovlen = send->nr_parts,
		.msg_control = send->control.bytes,
	};
	add_controls(send);
	send->nr_retries = 0;
	flow->nr_sending++;
	post(send);
}

/*
 * Whether path and card may refuse it. Then nothing is sent behind it: it is
 * sent once more, one by one, and shall not be overtaken and lost.
 */
static bool is_a_try(const struct vmc_flow_send *send)
{
	return send->nr_datagrams > 1 &&
	       send->first_bytes > send->flow->segment_proven;
}

/* One send for a flow; whether it has more. */
static bool send_some(struct vmc_flow_table *table, struct vmc_flow *flow)
{
	struct vmc_flow_send *send = SLIST_FIRST(&table->spare);
	uint32_t fill = vmc_end_readable(&flow->terminal.end);

	if (flow->terminal.end.is_lying) {
		vmc_flow_catch_lie(flow);
		return false;
	}
	if (fill <= flow->taken_bytes)
		return false;
	send->flow = flow;
	if (!fill_send(send, fill)) {
		vmc_flow_catch_lie(flow);
		return false;
	}
	SLIST_REMOVE_HEAD(&table->spare, spare);
	submit(send);
	return fill > flow->taken_bytes &&
	       flow->nr_sending < SENDS_PER_FLOW && !is_a_try(send);
}

static void send_ready(struct vmc_task *task)
{
	struct vmc_flow_table *table =
		vmc_container_of(task, struct vmc_flow_table, send_task);
	struct vmc_flow *flow;

	while (!SLIST_EMPTY(&table->spare) &&
	       (flow = TAILQ_FIRST(&table->ready))) {
		vmc_flow_unqueue(flow);
		if (flow->socket->room.nr_due)
			enqueue(flow, &flow->socket->blocked);
		else if (send_some(table, flow))
			enqueue(flow, &table->ready);
	}
}

static void count_lost(const struct vmc_flow *flow, unsigned int nr)
{
	struct vmc_vm *vm = vmc_terminal_vm(&flow->terminal);

	if (vm)
		vm->uplink_drops.undeliverable += nr;
}

/* Everything up to here is sent, or will not be. */
static void pass(struct vmc_flow_send *send)
{
	struct vmc_flow *flow = send->flow;

	if (send->end_bytes <= flow->done_bytes)
		return;
	count_lost(flow, flow->nr_failed);
	flow->nr_failed = 0;
	flow->done_bytes = send->end_bytes;
}

/* To be sent once more, unless others have overtaken it. */
static void keep(struct vmc_flow_send *send)
{
	struct vmc_flow *flow = send->flow;

	if (send->end_bytes <= flow->done_bytes)
		count_lost(flow, send->nr_datagrams);
	else
		flow->nr_failed += send->nr_datagrams;
}

static void succeed(struct vmc_flow_send *send)
{
	struct vmc_flow *flow = send->flow;
	struct vmc_vm *vm = vmc_terminal_vm(&flow->terminal);

	pass(send);
	if (send->nr_datagrams > 1 &&
	    send->first_bytes > flow->segment_proven)
		flow->segment_proven = send->first_bytes;
	if (!vm)
		return;
	vm->stats.datagrams_out += send->nr_datagrams;
	vm->stats.bytes_out += send->payload_bytes;
}

/* Neither device nor path takes so many at once, or so large ones. */
static bool is_segmenting_refused(struct vmc_flow_send *send, int error)
{
	if (send->nr_datagrams == 1)
		return false;
	if (error == EMSGSIZE || error == EINVAL)
		send->flow->segment_max = send->first_bytes - 1;
	else if (error == EIO || error == EOPNOTSUPP)
		send->flow->segment_max = 0;
	else
		return false;
	return true;
}

static void drop(struct vmc_flow_send *send, int error)
{
	struct vmc_flow *flow = send->flow;
	struct vmc_vm *vm = vmc_terminal_vm(&flow->terminal);

	pass(send);
	if (error == EMSGSIZE && vm)
		vm->uplink_drops.too_large += send->nr_datagrams;
	else
		count_lost(flow, send->nr_datagrams);
	/* A full queue of the device drops as a network does. */
	if (error != EMSGSIZE && error != ENOBUFS && error != ENOMEM)
		vmc_flow_tell_error(flow, error);
}

/* Whether the error may be that of a datagram sent before. */
static bool is_worth_a_retry(struct vmc_flow_send *send, int error)
{
	return error != EMSGSIZE && error != ENOBUFS && error != ENOMEM &&
	       send->nr_retries++ < MAX_RETRIES;
}

/* Return: true if it is under way again. */
static bool send_failed(struct vmc_flow_send *send, int error)
{
	struct vmc_flow *flow = send->flow;

	if (error == EAGAIN) {
		flow->is_blocked = true;
		keep(send);
		return false;
	}
	vmc_flow_hear_errors(flow->socket);
	if (is_segmenting_refused(send, error)) {
		keep(send);
		return false;
	}
	if (is_worth_a_retry(send, error)) {
		post(send);
		return true;
	}
	drop(send, error);
	return false;
}

/* All sends of a flow have ended: the guest gets its ring back. */
static void settle(struct vmc_flow *flow)
{
	struct vmc_flow_table *table = vmc_flow_table_of(flow);
	uint32_t done_bytes = flow->done_bytes;

	flow->taken_bytes = 0;
	flow->done_bytes = 0;
	flow->nr_failed = 0;
	if (flow->state == VMC_FLOW_ENDING) {
		vmc_loop_defer(table->loop, &flow->end_task);
		return;
	}
	if (done_bytes) {
		flow->used_ms = vmc_loop_now_ms();
		vmc_terminal_ring(&flow->terminal,
				  vmc_end_consume(&flow->terminal.end,
						  done_bytes));
	}
	vmc_flow_unqueue(flow);
	if (!flow->is_blocked) {
		vmc_flow_update(flow);
		return;
	}
	flow->is_blocked = false;
	enqueue(flow, &flow->socket->blocked);
	vmc_datagram_socket_await_room(flow->socket);
}

static void sent(struct vmc_uring_op *op, int result, unsigned int flags)
{
	struct vmc_flow_send *send =
		vmc_container_of(op, struct vmc_flow_send, op);
	struct vmc_flow *flow = send->flow;
	struct vmc_flow_table *table = vmc_flow_table_of(flow);

	(void)flags;
	if (result >= 0)
		succeed(send);
	else if (flow->state == VMC_FLOW_OPEN && send_failed(send, -result))
		return;
	flow->nr_sending--;
	SLIST_INSERT_HEAD(&table->spare, send, spare);
	if (!flow->nr_sending)
		settle(flow);
	if (!TAILQ_EMPTY(&table->ready))
		vmc_loop_defer(table->loop, &table->send_task);
}

/**
 * vmc_flow_send_init - all sends are spare
 * @table: new
 */
void vmc_flow_send_init(struct vmc_flow_table *table)
{
	unsigned int i;

	table->send_task.run = send_ready;
	for (i = 0; i < VMC_FLOW_SENDS; i++) {
		table->sends[i].op.done = sent;
		SLIST_INSERT_HEAD(&table->spare, &table->sends[i], spare);
	}
}
