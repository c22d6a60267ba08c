// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Flows of the uplink: datagrams between a guest's socket and one name of the
 * outside. Owns their lives and the table of them; the host's socket, which all
 * flows of one guest's name share, is datagram_socket.c's. How datagrams go is
 * in flow_send.c and flow_receive.c. Called by connect.c and the trunk.
 *
 * A send under way looks at the guest's ring, so the circuit's slot is given
 * back when the last has ended.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "switch/address.h"
#include "switch/connect.h"
#include "switch/flow.h"
#include "switch/host_socket.h"
#include "switch/uplink.h"

/* How often flows are looked at, and when they have had their time, ms. */
#define SWEEP_MS	1000
#define IDLE_MS		180000
/* Those that the outside began; and when one socket has many of them. */
#define INBOUND_IDLE_MS	30000
#define CROWDED_IDLE_MS	2000
#define CROWD		512
/* An OFFER that nobody answers so long is withdrawn. */
#define ANSWER_MS	5000
/* A guest that does not answer our FIN so long is reset. */
#define FIN_MS		3000

/* The largest piece of a send of many that is tried. */
#define SEGMENT_MAX	32000U

static struct vmc_flow *flow_of(struct vmc_terminal *terminal)
{
	return vmc_container_of(terminal, struct vmc_flow, terminal);
}

/**
 * vmc_flow_table_of - the table that a flow is in
 * @flow: any
 */
struct vmc_flow_table *vmc_flow_table_of(const struct vmc_flow *flow)
{
	return &flow->terminal.trunk->uplink->flows;
}

/**
 * vmc_flow_table_init - no flow yet
 * @table: all zero
 * @loop: outlives the table
 */
void vmc_flow_table_init(struct vmc_flow_table *table, struct vmc_loop *loop)
{
	table->loop = loop;
	TAILQ_INIT(&table->ready);
	vmc_flow_send_init(table);
}

/**
 * vmc_flow_table_close - nothing is sent any more
 * @table: its flows are still there
 */
void vmc_flow_table_close(struct vmc_flow_table *table)
{
	vmc_loop_cancel(table->loop, &table->send_task);
}

static struct vmc_flow_bucket *
bucket_of(const struct vmc_datagram_socket *socket,
	  const struct vmc_name *target)
{
	struct vmc_flow_table *table = &socket->uplink->flows;
	uint64_t hash = vmc_name_hash(&socket->local, target);

	return &table->by_target[hash % VMC_FLOW_BUCKETS];
}

/**
 * vmc_flow_find - whose a datagram from outside is
 * @socket: that it came to
 * @target: who sent it
 *
 * Return: the flow, the youngest if there are many; or NULL.
 */
struct vmc_flow *vmc_flow_find(const struct vmc_datagram_socket *socket,
			       const struct vmc_name *target)
{
	struct vmc_flow *flow;

	LIST_FOREACH(flow, bucket_of(socket, target), entry) {
		if (flow->socket == socket &&
		    !memcmp(&flow->target, target, sizeof(*target)))
			return flow;
	}
	return NULL;
}

/* Nothing that comes is for the flow any more. */
static void unlist(struct vmc_flow *flow)
{
	if (flow->is_listed)
		LIST_REMOVE(flow, entry);
	flow->is_listed = false;
}

/* No send is under way, or the ring is closed. */
static void destroy(struct vmc_terminal *terminal)
{
	struct vmc_flow *flow = flow_of(terminal);
	struct vmc_flow_table *table = vmc_flow_table_of(flow);
	/* If it only has not used the flow it may go on with another. */
	bool is_gone = !flow->fin_ms || flow->is_socket_gone ||
		       !vmc_terminal_vm(terminal);
	struct vmc_trunk *trunk;

	vmc_loop_cancel(table->loop, &flow->end_task);
	vmc_flow_unqueue(flow);
	vmc_flow_inbound_free(flow);
	unlist(flow);
	table->nr--;
	trunk = vmc_terminal_leave(terminal);
	vmc_datagram_socket_put(flow->socket, is_gone);
	free(flow);
	vmc_trunk_settle(trunk);
}

static void end_task(struct vmc_task *task)
{
	struct vmc_flow *flow =
		vmc_container_of(task, struct vmc_flow, end_task);

	destroy(&flow->terminal);
}

/**
 * vmc_flow_finish - a flow is over
 * @flow: any; freed after its last send
 */
void vmc_flow_finish(struct vmc_flow *flow)
{
	flow->state = VMC_FLOW_ENDING;
	vmc_flow_unqueue(flow);
	unlist(flow);
	/* Not at once: whoever found the end is still looking at it. */
	if (!flow->nr_sending)
		vmc_loop_defer(vmc_flow_table_of(flow)->loop,
			       &flow->end_task);
}

/**
 * vmc_flow_break - a flow ends, and not in order
 * @flow: open, or not answered yet
 */
void vmc_flow_break(struct vmc_flow *flow)
{
	if (flow->terminal.has_slot)
		vmc_terminal_reset(&flow->terminal, ECONNRESET);
	vmc_flow_finish(flow);
}

/**
 * vmc_flow_catch_lie - the guest said what cannot be
 * @flow: open
 */
void vmc_flow_catch_lie(struct vmc_flow *flow)
{
	vmc_terminal_count_lie(&flow->terminal);
	vmc_flow_break(flow);
}

/**
 * vmc_flow_tell_error - a datagram reached nobody; the guest shall know
 * @flow: any
 * @error: positive errno; of many at once the last is told
 */
void vmc_flow_tell_error(struct vmc_flow *flow, int error)
{
	struct vmc_ctl *own = flow->terminal.end.own;

	if (flow->state != VMC_FLOW_OPEN || flow->is_guest_closed)
		return;
	__atomic_store_n(&own->error, htole32((uint32_t)error),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&own->errors, htole32(++flow->nr_errors),
			 __ATOMIC_RELEASE);
	vmc_terminal_ring(&flow->terminal, true);
}

/* The rest is sent: nothing more is given to the guest on this circuit. */
static void say_fin(struct vmc_flow *flow)
{
	unlist(flow);
	LIST_INSERT_HEAD(&vmc_flow_table_of(flow)->finished, flow, entry);
	flow->is_listed = true;
	flow->fin_ms = vmc_loop_now_ms();
	vmc_terminal_ring(&flow->terminal,
			  vmc_end_set_flags(&flow->terminal.end,
					    VMC_CTL_FIN));
}

/**
 * vmc_flow_update - do whatever there is to do
 * @flow: open; perhaps over afterwards
 */
void vmc_flow_update(struct vmc_flow *flow)
{
	struct vmc_end *end = &flow->terminal.end;
	uint32_t flags = vmc_end_peer_flags(end), fill;

	if (flags & VMC_CTL_RST) {
		vmc_flow_finish(flow);
		return;
	}
	/* In this order: who sees FIN sees the final index. */
	fill = vmc_end_readable(end);
	if (!fill && !end->is_lying && !(flags & VMC_CTL_FIN) &&
	    !flow->is_guest_closed) {
		vmc_end_await_data(end);
		fill = vmc_end_readable(end);
	}
	if (end->is_lying) {
		vmc_flow_catch_lie(flow);
		return;
	}
	if (fill) {
		vmc_flow_send(flow);
		return;
	}
	if (!flow->is_guest_closed && !(flags & VMC_CTL_FIN))
		return;
	/*
	 * Nothing comes any more. What we gave may lie in the ring for as long
	 * as the guest's program likes: until the guest's CLOSE.
	 */
	if (!flow->is_guest_closed && !flow->fin_ms) {
		/* Seen ahead of CLOSE. Who only ends the flow says FIN alone. */
		flow->is_socket_gone = flags & VMC_CTL_GONE;
		say_fin(flow);
	}
	vmc_flow_finish(flow);
}

static void look(struct vmc_terminal *terminal)
{
	struct vmc_flow *flow = flow_of(terminal);

	if (flow->state == VMC_FLOW_OPEN)
		vmc_flow_update(flow);
}

static void guest_closed(struct vmc_terminal *terminal)
{
	struct vmc_flow *flow = flow_of(terminal);

	flow->is_guest_closed = true;
	unlist(flow);
	look(terminal);
}

static void abort_flow(struct vmc_terminal *terminal)
{
	vmc_flow_finish(flow_of(terminal));
}

static void link_up(struct vmc_terminal *terminal)
{
	if (flow_of(terminal)->state == VMC_FLOW_WAITING)
		vmc_flow_offer(flow_of(terminal));
}

static void accepted(struct vmc_terminal *terminal)
{
	vmc_flow_accepted(flow_of(terminal));
}

static void refused(struct vmc_terminal *terminal)
{
	vmc_flow_refused(flow_of(terminal));
}

static const struct vmc_terminal_ops terminal_ops = {
	.link_up	= link_up,
	.look		= look,
	.accepted	= accepted,
	.refused	= refused,
	.guest_closed	= guest_closed,
	.abort		= abort_flow,
	.destroy	= destroy,
};

/**
 * vmc_flow_create - a new flow, without a circuit
 * @trunk: to the VM
 * @socket: of the host; has it until it is freed
 * @target: the other end, as the host has it
 * @state: where it begins
 *
 * Return: the flow, or NULL for want of memory.
 */
struct vmc_flow *vmc_flow_create(struct vmc_trunk *trunk,
				 struct vmc_datagram_socket *socket,
				 const struct vmc_name *target,
				 enum vmc_flow_state state)
{
	struct vmc_flow *flow = calloc(1, sizeof(*flow));
	struct sockaddr_storage address;

	if (!flow)
		return NULL;
	flow->socket = socket;
	flow->state = state;
	flow->target = *target;
	flow->address_bytes = vmc_host_socket_address(target, &address);
	memcpy(&flow->address, &address, sizeof(flow->address));
	flow->segment_max = SEGMENT_MAX;
	flow->used_ms = vmc_loop_now_ms();
	flow->end_task.run = end_task;
	vmc_terminal_enter(&flow->terminal, trunk, &terminal_ops);
	vmc_datagram_socket_take(socket);
	LIST_INSERT_HEAD(bucket_of(socket, target), flow, entry);
	flow->is_listed = true;
	vmc_flow_table_of(flow)->nr++;
	return flow;
}

/* 0, or -errno: the dial is to be answered still. */
static int start(struct vmc_dial *dial, const struct vmc_name *target)
{
	struct vmc_trunk *trunk = dial->link->trunk;
	bool is_routed = dial->vm->config->source == VMC_SOURCE_ROUTED &&
			 !vmc_name_is_loopback(target);
	struct vmc_datagram_socket *socket;
	struct vmc_flow *flow;
	int error;

	error = vmc_datagram_socket_get(trunk->uplink, dial->vm, &dial->local,
					is_routed, &socket);
	if (error)
		return error;
	flow = vmc_flow_create(trunk, socket, target, VMC_FLOW_OPEN);
	if (!flow)
		return -ENOBUFS;
	if (vmc_terminal_answer(&flow->terminal, dial)) {
		vmc_flow_finish(flow);
		return -ENOBUFS;
	}
	vmc_flow_update(flow);
	return 0;
}

/**
 * vmc_flow_dial - dial on behalf of a guest
 * @dial: of datagrams; waits for its link, which is up
 *
 * The guest gets CONNECTED at once, or FAILED: EACCES if the policy was changed
 * meanwhile, ENOBUFS at a limit, or why the host has no socket for it.
 */
void vmc_flow_dial(struct vmc_dial *dial)
{
	struct vmc_uplink *uplink = dial->link->trunk->uplink;
	const struct vmc_carriage *carriage;
	struct vmc_name target;
	int error;

	error = vmc_uplink_resolve(uplink, dial->vm, VMC_PROTOCOL_UDP,
				   &dial->remote, &target, &carriage);
	if (!error) {
		TAILQ_REMOVE(&dial->link->dials, dial, waiting);
		dial->stage = VMC_DIAL_NEW;
		error = -start(dial, &target);
	}
	if (error)
		vmc_connect_fail(dial, error);
}

/* Who asks a server once must not hold a circuit for long. */
static uint64_t idle_ms(const struct vmc_flow *flow)
{
	if (!flow->is_inbound)
		return IDLE_MS;
	return flow->socket->nr_flows > CROWD ? CROWDED_IDLE_MS :
						INBOUND_IDLE_MS;
}

/* Nobody has used it for long: end it in order, or if need be without. */
static void sweep(struct vmc_flow *flow)
{
	/* Not one clock for all: a FIN of this sweep would be in its future. */
	uint64_t now_ms = vmc_loop_now_ms();

	if (flow->state == VMC_FLOW_OFFERED ||
	    flow->state == VMC_FLOW_WAITING) {
		if (now_ms - flow->used_ms > ANSWER_MS)
			vmc_flow_break(flow);
		return;
	}
	if (flow->state != VMC_FLOW_OPEN)
		return;
	if (!flow->fin_ms && now_ms - flow->used_ms > idle_ms(flow))
		say_fin(flow);
	else if (flow->fin_ms && now_ms - flow->fin_ms > FIN_MS &&
		 !flow->nr_sending)
		vmc_flow_break(flow);
}

static void sweep_all(struct vmc_flow_bucket *bucket)
{
	struct vmc_flow *flow, *next;

	for (flow = LIST_FIRST(bucket); flow; flow = next) {
		next = LIST_NEXT(flow, entry);
		sweep(flow);
	}
}

/**
 * vmc_flow_tick - end what nobody uses
 * @uplink: the uplink
 */
void vmc_flow_tick(struct vmc_uplink *uplink)
{
	struct vmc_flow_table *table = &uplink->flows;
	uint64_t now_ms = vmc_loop_now_ms();
	unsigned int i;

	if (now_ms - table->swept_ms < SWEEP_MS)
		return;
	table->swept_ms = now_ms;
	vmc_datagram_socket_tick(uplink);
	for (i = 0; table->nr && i < VMC_FLOW_BUCKETS; i++)
		sweep_all(&table->by_target[i]);
	sweep_all(&table->finished);
}
