// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Datagrams from host sockets to rings. Whose one is the kernel says only with
 * the datagram itself, so it is received into a buffer and copied from there. A
 * run of datagrams of one size comes as one (UDP_GRO) and is taken apart here.
 * Owns nothing. Called by datagram_socket.c and flow_send.c.
 *
 * Nothing waits: what finds no room in the guest's ring is dropped and counted,
 * as by a network card.
 */
#include <endian.h>
#include <errno.h>
#include <time.h>
#include <linux/errqueue.h>
#include <netinet/udp.h>
#include <string.h>

#include "lib/shared.h"
#include "proto/record.h"
#include "switch/flow.h"
#include "switch/host_socket.h"
#include "switch/uplink.h"

/* Of a control message's data; both kernels and io_uring want them aligned. */
#define CONTROL_BYTES	(CMSG_SPACE(sizeof(int)) * 2 + \
			 CMSG_SPACE(sizeof(struct in6_pktinfo)))
#define NAME_BYTES	32
/* Errors of one socket that are read at a time. */
#define MAX_ERRORS	64

/* How a buffer is laid out: io_uring's header, then room for these. */
struct msghdr vmc_flow_receive_form = {
	.msg_namelen = NAME_BYTES,
	.msg_controllen = CONTROL_BYTES,
};

/* The address that it was sent to; true if the message says it. */
static bool read_to(const struct cmsghdr *control, struct vmc_arrival *arrival)
{
	const struct in6_pktinfo *inet6 = (const void *)CMSG_DATA(control);
	const struct in_pktinfo *inet = (const void *)CMSG_DATA(control);

	if (control->cmsg_level == IPPROTO_IP &&
	    control->cmsg_type == IP_PKTINFO)
		memcpy(arrival->to, &inet->ipi_spec_dst, 4);
	else if (control->cmsg_level == IPPROTO_IPV6 &&
		 control->cmsg_type == IPV6_PKTINFO)
		memcpy(arrival->to, &inet6->ipi6_addr, 16);
	else
		return false;
	arrival->has_to = true;
	return true;
}

static void read_control(const struct cmsghdr *control,
			 struct vmc_arrival *arrival)
{
	const void *data = CMSG_DATA(control);
	int value = 0;

	if (read_to(control, arrival))
		return;
	memcpy(&value, data, control->cmsg_len > CMSG_LEN(sizeof(value)) ?
	       sizeof(value) : control->cmsg_len - CMSG_LEN(0));
	if (control->cmsg_level == IPPROTO_UDP &&
	    control->cmsg_type == UDP_GRO)
		arrival->segment_bytes = (uint32_t)value;
	else if ((control->cmsg_level == IPPROTO_IP &&
		  control->cmsg_type == IP_TOS) ||
		 (control->cmsg_level == IPPROTO_IPV6 &&
		  control->cmsg_type == IPV6_TCLASS))
		arrival->traffic_class = (uint8_t)value;
}

/* False: it is nothing that could be given to anybody. */
static bool read_arrival(void *buffer, int bytes, struct vmc_arrival *ret)
{
	struct io_uring_recvmsg_out *out;
	struct sockaddr_storage address = { 0 };
	struct cmsghdr *control;

	out = io_uring_recvmsg_validate(buffer, bytes,
					&vmc_flow_receive_form);
	if (!out || out->flags & MSG_TRUNC)
		return false;
	memcpy(&address, io_uring_recvmsg_name(out), NAME_BYTES);
	if (vmc_host_socket_name(&address, &ret->from))
		return false;
	ret->payload = io_uring_recvmsg_payload(out, &vmc_flow_receive_form);
	ret->bytes = io_uring_recvmsg_payload_length(out, bytes,
						     &vmc_flow_receive_form);
	control = io_uring_recvmsg_cmsg_firsthdr(out, &vmc_flow_receive_form);
	while (control) {
		read_control(control, ret);
		control = io_uring_recvmsg_cmsg_nexthdr(
			out, &vmc_flow_receive_form, control);
	}
	if (!ret->segment_bytes || ret->segment_bytes > ret->bytes)
		ret->segment_bytes = ret->bytes;
	return true;
}

/* Copies to the place @skip bytes behind the producer index. */
static void copy_in(struct vmc_end *end, uint32_t skip, const uint8_t *from,
		    uint32_t bytes)
{
	uint32_t at = end->prod + skip;
	uint32_t span = vmc_ring_span(at, end->tx_bytes, bytes);

	memcpy(end->tx + (at & (end->tx_bytes - 1)), from, span);
	memcpy(end->tx, from + span, bytes - span);
}

/* A record behind the producer index and @skip bytes. */
static void put_record(struct vmc_end *end, uint32_t skip,
		       const struct vmc_arrival *arrival, const uint8_t *from,
		       uint32_t bytes)
{
	const struct vmc_record record = {
		.bytes = htole32(bytes),
		.traffic_class = arrival->traffic_class,
	};

	copy_in(end, skip, (const uint8_t *)&record, sizeof(record));
	copy_in(end, skip + (uint32_t)sizeof(record), from, bytes);
}

/* Answers shall come from there. */
static void note_source(struct vmc_flow *flow, const uint8_t *address)
{
	flow->has_source = true;
	if (flow->target.family == VMC_FAMILY_INET)
		memcpy(&flow->source.inet.ipi_spec_dst, address, 4);
	else
		memcpy(&flow->source.inet6.ipi6_addr, address, 16);
}

/**
 * vmc_flow_give - put what came into the guest's ring, as far as there is room
 * @flow: with a circuit, and a VM
 * @arrival: from its target
 */
void vmc_flow_give(struct vmc_flow *flow, const struct vmc_arrival *arrival)
{
	struct vmc_vm *vm = vmc_terminal_vm(&flow->terminal);
	struct vmc_end *end = &flow->terminal.end;
	uint32_t room = vmc_end_writable(end), done = 0, at = 0, bytes, span;
	unsigned int nr_given = 0, nr_dropped = 0;

	if (end->is_lying) {
		vmc_flow_catch_lie(flow);
		return;
	}
	if (arrival->has_to)
		note_source(flow, arrival->to);
	do {
		bytes = arrival->bytes - at;
		if (bytes > arrival->segment_bytes)
			bytes = arrival->segment_bytes;
		span = vmc_record_span(bytes);
		if (span <= room - done) {
			put_record(end, done, arrival, arrival->payload + at,
				   bytes);
			done += span;
			nr_given++;
		} else {
			nr_dropped++;
		}
		at += bytes;
	} while (at < arrival->bytes);
	if (nr_dropped) {
		flow->nr_unsent += nr_dropped;
		__atomic_store_n(&end->own->unsent, htole32(flow->nr_unsent),
				 __ATOMIC_RELAXED);
	}
	flow->nr_given += nr_given;
	flow->used_ms = vmc_loop_now_ms();
	vm->uplink_drops.no_room += nr_dropped;
	vm->stats.datagrams_in += nr_given;
	vm->stats.bytes_in += arrival->bytes;
	if (done)
		vmc_terminal_ring(&flow->terminal,
				  vmc_end_produce(end, done));
}

/**
 * vmc_flow_count - of how many datagrams it is
 * @arrival: from outside
 */
unsigned int vmc_flow_count(const struct vmc_arrival *arrival)
{
	if (!arrival->bytes)
		return 1;
	return (arrival->bytes + arrival->segment_bytes - 1) /
	       arrival->segment_bytes;
}

/**
 * vmc_flow_receive - something came from outside
 * @socket: open
 * @buffer: with what came, as vmc_flow_receive_form says
 * @bytes: of it, or an error
 */
void vmc_flow_receive(struct vmc_datagram_socket *socket, void *buffer,
		      int bytes)
{
	struct vmc_arrival arrival = { 0 };
	struct vmc_flow *flow;

	if (!read_arrival(buffer, bytes, &arrival))
		return;
	flow = vmc_flow_find(socket, &arrival.from);
	if (flow && !vmc_terminal_vm(&flow->terminal))
		return;
	if (flow && flow->state == VMC_FLOW_WAITING)
		vmc_flow_keep(flow, &arrival);
	else if (flow)
		vmc_flow_give(flow, &arrival);
	else if (!vmc_flow_begin(socket, &arrival))
		socket->vm->uplink_drops.unwanted += vmc_flow_count(&arrival);
}

/* The flow whose datagram an error is about hears of it. */
static void tell(struct vmc_datagram_socket *socket, struct msghdr *message)
{
	const struct sock_extended_err *error = NULL;
	const struct sockaddr_storage *address = message->msg_name;
	struct cmsghdr *control;
	struct vmc_flow *flow;
	struct vmc_name name;

	for (control = CMSG_FIRSTHDR(message); control;
	     control = CMSG_NXTHDR(message, control)) {
		if ((control->cmsg_level == IPPROTO_IP &&
		     control->cmsg_type == IP_RECVERR) ||
		    (control->cmsg_level == IPPROTO_IPV6 &&
		     control->cmsg_type == IPV6_RECVERR))
			error = (const void *)CMSG_DATA(control);
	}
	/* What is too large from now on the host cuts in pieces, or refuses. */
	if (!error || error->ee_errno == EMSGSIZE ||
	    error->ee_origin == SO_EE_ORIGIN_LOCAL ||
	    vmc_host_socket_name(address, &name))
		return;
	flow = vmc_flow_find(socket, &name);
	if (flow)
		vmc_flow_tell_error(flow, (int)error->ee_errno);
}

/**
 * vmc_flow_hear_errors - what became of datagrams that reached nobody
 * @socket: open; its error queue is emptied
 */
void vmc_flow_hear_errors(struct vmc_datagram_socket *socket)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[512];
	} control;
	struct sockaddr_storage address;
	struct msghdr message;
	unsigned int i;

	for (i = 0; i < MAX_ERRORS; i++) {
		message = (struct msghdr){
			.msg_name = &address,
			.msg_namelen = sizeof(address),
			.msg_control = control.bytes,
			.msg_controllen = sizeof(control),
		};
		if (recvmsg(socket->fd, &message,
			    MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			break;
		tell(socket, &message);
	}
}
