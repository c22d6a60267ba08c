// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Flows that the outside begins: at a published port, or at a host socket of a
 * guest when the policy lets somebody in. The first datagram makes an OFFER;
 * those that come before its answer wait in the ring already, or here while the
 * link is being made. Owns what is known of them until the answer. Called by
 * flow.c, flow_receive.c and the uplink.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "switch/address.h"
#include "switch/flow.h"
#include "switch/quota.h"
#include "switch/uplink.h"

/* OFFERs of one socket that the guest has not answered. */
#define MAX_UNANSWERED		64
/* What waits for links: of one flow, in pieces; and of all, bytes. */
#define MAX_KEPT		32U
#define MAX_KEPT_BYTES		(4U << 20)
/* What a circuit's rings are; the largest datagrams fit. */
#define RING_BYTES		(128U << 10)

/* Who was refused is not offered again so soon, ms. */
#define REFUSAL_MS		1000
/* Ports of a routed VM that are open before it sends from them. */
#define MAX_PORTS		256U

/* Remembered for each socket; one more takes another's place. */
#define NR_REFUSALS		256U

struct refusal {
	struct vmc_name from;
	uint64_t until_ms;
};

struct vmc_refusals {
	struct refusal refusals[NR_REFUSALS];
};

/* Something that waits for the link. */
struct kept {
	STAILQ_ENTRY(kept) entry;
	struct vmc_arrival arrival;
	uint8_t bytes[];
};

/* How a flow began that its guest has not answered yet. */
struct vmc_flow_inbound {
	struct vmc_name remote;		/* as the guest shall see it */
	unsigned int nr_kept;
	STAILQ_HEAD(, kept) kept;
};

static struct refusal *refusal_of(const struct vmc_datagram_socket *socket,
				  const struct vmc_name *from)
{
	return &socket->refusals->refusals[vmc_name_hash(from, from) %
					   NR_REFUSALS];
}

static bool was_refused(const struct vmc_datagram_socket *socket,
			const struct vmc_name *from)
{
	const struct refusal *refusal;

	if (!socket->refusals)
		return false;
	refusal = refusal_of(socket, from);
	return !memcmp(&refusal->from, from, sizeof(*from)) &&
	       vmc_loop_now_ms() < refusal->until_ms;
}

static void note_refusal(struct vmc_datagram_socket *socket,
			 const struct vmc_name *from)
{
	if (!socket->refusals)
		socket->refusals = calloc(1, sizeof(*socket->refusals));
	if (socket->refusals)
		*refusal_of(socket, from) = (struct refusal){
			.from = *from,
			.until_ms = vmc_loop_now_ms() + REFUSAL_MS,
		};
}

static void drop_first(struct vmc_flow *flow)
{
	struct kept *kept = STAILQ_FIRST(&flow->inbound->kept);

	STAILQ_REMOVE_HEAD(&flow->inbound->kept, entry);
	flow->inbound->nr_kept--;
	vmc_flow_table_of(flow)->kept_bytes -= kept->arrival.bytes;
	free(kept);
}

/**
 * vmc_flow_inbound_free - forget how a flow began
 * @flow: answered, or over; any
 */
void vmc_flow_inbound_free(struct vmc_flow *flow)
{
	struct vmc_vm *vm = flow->socket->vm;

	if (!flow->inbound)
		return;
	while (!STAILQ_EMPTY(&flow->inbound->kept)) {
		vm->uplink_drops.unwanted += vmc_flow_count(
			&STAILQ_FIRST(&flow->inbound->kept)->arrival);
		drop_first(flow);
	}
	free(flow->inbound);
	flow->inbound = NULL;
	flow->socket->nr_unanswered--;
}

/**
 * vmc_flow_keep - something more came before the link is up
 * @flow: waiting for it
 * @arrival: from its target; dropped and counted if too much waits already
 */
void vmc_flow_keep(struct vmc_flow *flow, const struct vmc_arrival *arrival)
{
	struct vmc_flow_table *table = vmc_flow_table_of(flow);
	struct vmc_flow_inbound *inbound = flow->inbound;
	struct kept *kept = NULL;

	if (inbound->nr_kept < MAX_KEPT &&
	    table->kept_bytes + arrival->bytes <= MAX_KEPT_BYTES)
		kept = malloc(sizeof(*kept) + arrival->bytes);
	if (!kept) {
		flow->socket->vm->uplink_drops.no_room +=
			vmc_flow_count(arrival);
		return;
	}
	kept->arrival = *arrival;
	kept->arrival.payload = kept->bytes;
	memcpy(kept->bytes, arrival->payload, arrival->bytes);
	STAILQ_INSERT_TAIL(&inbound->kept, kept, entry);
	inbound->nr_kept++;
	table->kept_bytes += arrival->bytes;
}

/**
 * vmc_flow_offer - the link is up: offer the guest the circuit
 * @flow: waiting for it; freed soon if there is no room
 */
void vmc_flow_offer(struct vmc_flow *flow)
{
	struct vmc_vm *vm = vmc_terminal_vm(&flow->terminal);
	const uint32_t wishes[2] = { RING_BYTES, RING_BYTES };

	if (vmc_outbox_is_crowded(&vm->outbox) ||
	    vmc_terminal_offer(&flow->terminal, &flow->socket->local,
			       &flow->inbound->remote, true, wishes, 0)) {
		vmc_flow_finish(flow);
		return;
	}
	flow->state = VMC_FLOW_OFFERED;
	while (flow->state == VMC_FLOW_OFFERED &&
	       !STAILQ_EMPTY(&flow->inbound->kept)) {
		vmc_flow_give(flow,
			      &STAILQ_FIRST(&flow->inbound->kept)->arrival);
		drop_first(flow);
	}
}

/**
 * vmc_flow_accepted - the guest has a socket for it
 * @flow: offered; it opens
 */
void vmc_flow_accepted(struct vmc_flow *flow)
{
	flow->socket->vm->stats.relays_in++;
	vmc_flow_inbound_free(flow);
	flow->state = VMC_FLOW_OPEN;
	vmc_flow_update(flow);
}

/**
 * vmc_flow_refused - nobody in the guest wants it
 * @flow: offered; freed soon
 */
void vmc_flow_refused(struct vmc_flow *flow)
{
	/* What is in the ring already was not wanted, either. */
	flow->socket->vm->uplink_drops.unwanted += flow->nr_given;
	note_refusal(flow->socket, &flow->target);
	vmc_flow_finish(flow);
}

/**
 * vmc_flow_begin - somebody of the outside whom no flow is of
 * @socket: that it came to
 * @arrival: the first datagram, or a few
 *
 * Return: false if nobody is offered it: policy, limits, or a refusal a short
 * while ago.
 */
bool vmc_flow_begin(struct vmc_datagram_socket *socket,
		    const struct vmc_arrival *arrival)
{
	struct vmc_uplink *uplink = socket->uplink;
	struct vmc_name remote = arrival->from;
	struct vmc_vm *vm = socket->vm;
	struct vmc_flow_inbound *inbound;
	struct vmc_flow *flow;
	struct vmc_link *link;

	if (!vm->is_welcome || !vm->takes_datagrams ||
	    socket->nr_unanswered >= MAX_UNANSWERED ||
	    was_refused(socket, &arrival->from) ||
	    !vmc_uplink_admits(uplink, vm, VMC_PROTOCOL_UDP, &arrival->from,
			       &socket->local, socket->published) ||
	    vmc_uplink_name_for_guest(uplink, vm, &remote) ||
	    !vmc_quota_has_room(vm) ||
	    vmc_connect_link_to_uplink(vm, uplink, &link))
		return false;
	inbound = calloc(1, sizeof(*inbound));
	if (!inbound)
		return false;
	inbound->remote = remote;
	STAILQ_INIT(&inbound->kept);
	flow = vmc_flow_create(link->trunk, socket, &arrival->from,
			       VMC_FLOW_WAITING);
	if (!flow) {
		free(inbound);
		return false;
	}
	flow->inbound = inbound;
	flow->is_inbound = true;
	socket->nr_unanswered++;
	vmc_flow_keep(flow, arrival);
	if (link->state == VMC_LINK_UP)
		vmc_flow_offer(flow);
	return true;
}

/**
 * vmc_flow_publish_all - claim the published names
 * @uplink: its configuration names them
 *
 * Return: 0, or the error of a port that is taken or forbidden, logged.
 */
int vmc_flow_publish_all(struct vmc_uplink *uplink)
{
	const struct vmc_config *config = uplink->table->config;
	const struct vmc_config_publish *publish;
	unsigned int i;
	int error;

	for (i = 0; i < config->nr_publishes; i++) {
		publish = &config->publishes[i];
		if (publish->protocol != VMC_PROTOCOL_UDP)
			continue;
		error = vmc_datagram_socket_publish(
			uplink, &uplink->table->vms[publish->vm], publish);
		if (!error)
			continue;
		vmc_log(VMC_LOG_ERROR, "cannot publish \"%s\": %s",
			publish->text, strerror(-error));
		return error;
	}
	return 0;
}

static void open_port(struct vmc_uplink *uplink, struct vmc_vm *vm,
		      const struct vmc_address *address, uint16_t port)
{
	struct vmc_name name = {
		.family = address->family,
		.port = htole16(port),
	};
	struct vmc_datagram_socket *socket;
	char text[VMC_ADDRESS_TEXT_BYTES];
	int error;

	memcpy(name.address, address->address, sizeof(name.address));
	error = vmc_datagram_socket_get(uplink, vm, &name, true, &socket);
	if (!error)
		socket->is_kept = true;
	else
		vmc_log_limited(&vm->log_limit, VMC_LOG_WARNING,
				"vm \"%s\" cannot be reached from outside at %s over UDP: %s",
				vm->config->name, vmc_name_format(&name, text),
				strerror(-error));
}

/**
 * vmc_flow_open_routed - let the outside in to routed VMs, where rules may
 * @uplink: with the policy as it is now
 *
 * The switch does not know where a guest waits for datagrams. So ports that
 * rules name are open at once; others, when the guest has sent from them.
 */
void vmc_flow_open_routed(struct vmc_uplink *uplink)
{
	const struct vmc_config *config = uplink->table->config;
	uint16_t ports[MAX_PORTS];
	unsigned int i, k, a, nr;
	struct vmc_vm *vm;

	vmc_datagram_socket_forget_kept(uplink);
	for (i = 0; i < config->nr_vms; i++) {
		vm = &uplink->table->vms[i];
		if (vm->config->source != VMC_SOURCE_ROUTED)
			continue;
		nr = vmc_policy_named_ports(config->policy, vm->config,
					    VMC_PROTOCOL_UDP, ports,
					    MAX_PORTS);
		for (k = 0; k < nr; k++) {
			for (a = 0; a < vm->config->nr_addresses; a++)
				open_port(uplink, vm,
					  &vm->config->addresses[a], ports[k]);
		}
	}
}
