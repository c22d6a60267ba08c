// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The hub: passes on the packets that are for many, or that a guest's kernel
 * answers by itself: datagrams to groups and broadcast addresses, and echo
 * requests. Each VM has one circuit to it, its port, whose records are IP
 * packets. Owns the ports. Called by connect.c, answer.c and the trunk.
 *
 * A packet is copied out of the sender's ring first, so nothing that was
 * checked changes, and then into the ring of each VM that gets it. A ring that
 * is full loses it; nobody waits for anybody.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/hub.h"
#include "proto/record.h"
#include "switch/address.h"
#include "switch/hub.h"
#include "switch/link.h"
#include "switch/notice.h"
#include "switch/uplink.h"

/* What a VM may cost before others have their turn: bytes copied. */
#define TURN_BYTES	(256U << 10)
/* What a packet costs beside its bytes. */
#define PACKET_COST	512U

/*
 * Who sent more than this within this or the last window leaves a quarter of
 * each ring to the others, so that one VM's flood does not lose their packets.
 */
#define WINDOW_MS	100
#define WINDOW_BYTES	(128U << 10)

/* Looked at once the events at hand are handled. */
static void look_at(struct vmc_hub_port *port)
{
	vmc_loop_defer(port->vm->loop, &port->task);
}

static void close_port(struct vmc_hub_port *port)
{
	struct vmc_trunk *trunk;

	vmc_echo_end_all(port);
	vmc_loop_cancel(port->vm->loop, &port->task);
	port->vm->hub = NULL;
	trunk = vmc_terminal_leave(&port->terminal);
	free(port);
	vmc_trunk_settle(trunk);
}

static void put_bytes(struct vmc_end *end, uint32_t skip, const void *bytes,
		      uint32_t nr_bytes)
{
	uint32_t at = end->prod + skip;
	uint32_t first = vmc_ring_span(at, end->tx_bytes, nr_bytes);

	memcpy(end->tx + (at & (end->tx_bytes - 1)), bytes, first);
	memcpy(end->tx, (const uint8_t *)bytes + first, nr_bytes - first);
}

static void get_bytes(const struct vmc_end *end, uint32_t skip, void *bytes,
		      uint32_t nr_bytes)
{
	uint32_t at = end->cons + skip;
	uint32_t first = vmc_ring_span(at, end->rx_bytes, nr_bytes);

	memcpy(bytes, end->rx + (at & (end->rx_bytes - 1)), first);
	memcpy((uint8_t *)bytes + first, end->rx, nr_bytes - first);
}

/* @reserve_bytes: of the ring, which are to stay free. */
static void give(struct vmc_hub_port *port, const uint8_t *packet,
		 uint32_t nr_bytes, uint32_t reserve_bytes)
{
	struct vmc_record record = { .bytes = htole32(nr_bytes) };
	uint32_t span = vmc_record_span(nr_bytes);
	struct vmc_end *end = &port->terminal.end;
	uint32_t room = vmc_end_writable(end);

	if (end->is_lying) {
		/* Not at once: it may be its packet that is under way. */
		look_at(port);
		return;
	}
	if (room < span + reserve_bytes) {
		port->vm->stats.packets_lost++;
		__atomic_store_n(&end->own->unsent,
				 htole32(++port->nr_unsent),
				 __ATOMIC_RELAXED);
		return;
	}
	put_bytes(end, 0, &record, sizeof(record));
	put_bytes(end, sizeof(record), packet, nr_bytes);
	port->vm->stats.packets_in++;
	vmc_terminal_ring(&port->terminal, vmc_end_produce(end, span));
}

/**
 * vmc_hub_give - let a VM have a packet
 * @port: the VM's
 * @packet: an IP packet
 * @nr_bytes: its length
 *
 * Without room it is lost, which is counted.
 */
void vmc_hub_give(struct vmc_hub_port *port, const uint8_t *packet,
		  uint32_t nr_bytes)
{
	give(port, packet, nr_bytes, 0);
}

/**
 * vmc_hub_tell_error - tell a VM what became of a packet
 * @port: the VM's
 * @from: who says so
 * @about: the packet, from the VM
 * @error: what
 */
void vmc_hub_tell_error(struct vmc_hub_port *port,
			const struct vmc_name *from,
			const struct vmc_packet *about,
			struct vmc_packet_error error)
{
	uint8_t bytes[VMC_PACKET_ERROR_BYTES];

	give(port, bytes, vmc_packet_put_error(bytes, from, about, error), 0);
}

static bool is_broadcast(const struct vmc_config_vm *vm,
			 const struct vmc_name *name)
{
	unsigned int i;

	for (i = 0; i < vm->nr_addresses; i++) {
		if (vmc_address_has_broadcast(&vm->addresses[i], name))
			return true;
	}
	return false;
}

/* Whether a VM says that it may have joined; it may say what it likes. */
static bool is_joined(const struct vmc_hub_port *port,
		      const struct vmc_name *group)
{
	unsigned int bytes = group->family == VMC_FAMILY_INET ? 4 : 16;
	uint32_t bit = vmc_hub_group_bit(group->address, bytes);
	const __le64 *raw_word = &port->terminal.end.peer->groups[bit / 64];

	return le64toh(__atomic_load_n(raw_word, __ATOMIC_ACQUIRE)) >>
	       bit % 64 & 1;
}

/* Give a packet to all whom it is for. Return: what that cost, in bytes. */
static uint32_t give_many(struct vmc_hub_port *port,
			  const struct vmc_packet *packet)
{
	const struct vmc_config *config = port->table->config;
	bool is_group = vmc_name_is_multicast(&packet->to);
	bool is_flood = port->window_bytes > WINDOW_BYTES ||
			port->last_window_bytes > WINDOW_BYTES;
	struct vmc_vm *other;
	uint32_t cost = 0;
	unsigned int i;

	for (i = 0; i < config->nr_vms; i++) {
		other = &port->table->vms[i];
		if (other == port->vm || !other->hub ||
		    !vmc_policy_allows(config, port->vm->config,
				       other->config) ||
		    !(is_group ? is_joined(other->hub, &packet->to) :
				 is_broadcast(other->config, &packet->to)))
			continue;
		give(other->hub, packet->bytes, packet->nr_bytes,
		     is_flood ? other->hub->terminal.end.tx_bytes / 4 : 0);
		cost += packet->nr_bytes;
	}
	return cost;
}

/* An echo to one address. 0, or the errno that its sender is told. */
static int give_one(struct vmc_hub_port *port, const struct vmc_packet *packet)
{
	struct vmc_vm_table *table = port->table;
	const struct vmc_config *config = table->config;
	const struct vmc_config_vm *owner =
		vmc_config_find_owner(config, &packet->to);
	struct vmc_vm *callee;

	if (!owner) {
		if (!table->uplink)
			return EHOSTUNREACH;
		/* Nobody outside has asked. */
		if (packet->kind != VMC_PACKET_ECHO_REQUEST)
			return 0;
		return vmc_echo_send(port, packet);
	}
	if (owner->is_endpoint ||
	    !vmc_policy_allows(config, port->vm->config, owner))
		return EHOSTUNREACH;
	callee = &table->vms[owner - config->vms];
	if (!callee->hub)
		return EHOSTUNREACH;
	vmc_hub_give(callee->hub, packet->bytes, packet->nr_bytes);
	return 0;
}

/* Pass a packet on. Return: what it cost, in bytes. */
static uint32_t pass_on(struct vmc_hub_port *port, const uint8_t *raw,
			uint32_t nr_bytes)
{
	struct vmc_packet packet;
	bool is_many;
	int error;

	/* Others than the hub's, or from somebody else, are just not passed. */
	if (vmc_packet_parse(raw, nr_bytes, &packet) ||
	    !vmc_config_vm_owns(port->vm->config, &packet.from))
		goto refuse;
	is_many = vmc_name_is_multicast(&packet.to) ||
		  is_broadcast(port->vm->config, &packet.to);
	if (packet.kind == VMC_PACKET_UDP ? !is_many :
	    is_many && packet.kind == VMC_PACKET_ECHO_REPLY)
		goto refuse;
	port->vm->stats.packets_out++;
	if (is_many)
		return PACKET_COST + give_many(port, &packet);
	error = give_one(port, &packet);
	if (error && packet.kind == VMC_PACKET_ECHO_REQUEST)
		vmc_hub_tell_error(port, &packet.to, &packet,
				   vmc_packet_error_for(&packet.to, error));
	return PACKET_COST + nr_bytes;

refuse:
	port->vm->stats.packets_refused++;
	return PACKET_COST;
}

/* The next record's packet, in @ret_bytes; 0: none, or a lie. */
static uint32_t take(struct vmc_hub_port *port, uint8_t *ret_bytes,
		     uint32_t *ret_span)
{
	struct vmc_end *end = &port->terminal.end;
	struct vmc_record raw_record;
	uint32_t fill, bytes;

	fill = vmc_end_readable(end);
	if (!fill)
		return 0;
	get_bytes(end, 0, &raw_record, sizeof(raw_record));
	bytes = le32toh(raw_record.bytes);
	*ret_span = vmc_record_check_for(bytes, VMC_PACKET_MAX_BYTES, fill);
	if (!*ret_span || !bytes) {
		end->is_lying = true;
		return 0;
	}
	get_bytes(end, sizeof(raw_record), ret_bytes, bytes);
	return bytes;
}

static void note_window(struct vmc_hub_port *port, uint64_t now_ms,
			uint32_t bytes)
{
	uint64_t age_ms = now_ms - port->window_began_ms;

	if (age_ms >= WINDOW_MS) {
		port->last_window_bytes = age_ms < 2 * WINDOW_MS ?
					  port->window_bytes : 0;
		port->window_began_ms = now_ms;
		port->window_bytes = 0;
	}
	port->window_bytes += bytes;
}

static void run_port(struct vmc_task *task)
{
	/* One thread: a packet is passed on before the next is taken. */
	static uint8_t packet[VMC_PACKET_MAX_BYTES];
	struct vmc_hub_port *port =
		vmc_container_of(task, struct vmc_hub_port, task);
	struct vmc_end *end = &port->terminal.end;
	uint64_t now_ms = vmc_loop_now_ms();
	uint32_t cost = 0, bytes, span;
	bool is_asked = false;

	while (cost < TURN_BYTES && !end->is_lying) {
		bytes = take(port, packet, &span);
		if (!bytes) {
			/* Look once more after the wait is announced. */
			if (is_asked)
				break;
			vmc_end_await_data(end);
			is_asked = true;
			continue;
		}
		vmc_terminal_ring(&port->terminal, vmc_end_consume(end, span));
		note_window(port, now_ms, bytes);
		cost += pass_on(port, packet, bytes);
	}
	if (end->is_lying) {
		/* The VM has no port any more, until it attaches anew. */
		vmc_terminal_count_lie(&port->terminal);
		vmc_terminal_reset(&port->terminal, ECONNRESET);
		close_port(port);
	} else if (cost >= TURN_BYTES) {
		look_at(port);
	}
}

static void look(struct vmc_terminal *terminal)
{
	look_at(vmc_container_of(terminal, struct vmc_hub_port, terminal));
}

static void let_go(struct vmc_terminal *terminal)
{
	close_port(vmc_container_of(terminal, struct vmc_hub_port, terminal));
}

/* It is dialled, so there is no answer of the guest's to hear. */
static const struct vmc_terminal_ops terminal_ops = {
	.look		= look,
	.guest_closed	= let_go,
	.abort		= let_go,
	.destroy	= let_go,
};

/**
 * vmc_hub_open - give a VM its port
 * @table: the VMs
 * @dial: over the link to the switch, which is up; answered with CONNECTED, or
 *	FAILED when the VM has a port, or for want of memory; freed
 */
void vmc_hub_open(struct vmc_vm_table *table, struct vmc_dial *dial)
{
	struct vmc_hub_port *port = NULL;
	struct vmc_vm *vm = dial->vm;

	if (!vm->hub)
		port = calloc(1, sizeof(*port));
	if (!port) {
		vmc_connect_fail(dial, vm->hub ? EISCONN : ENOBUFS);
		return;
	}
	port->table = table;
	port->vm = vm;
	port->task.run = run_port;
	vmc_echo_init(&port->echoes);
	vmc_terminal_enter(&port->terminal, dial->link->trunk, &terminal_ops);
	vm->hub = port;
	TAILQ_REMOVE(&dial->link->dials, dial, waiting);
	dial->stage = VMC_DIAL_NEW;
	dial->tx_bytes = VMC_HUB_RING_BYTES;
	dial->rx_bytes = VMC_HUB_RING_BYTES;
	if (vmc_terminal_answer(&port->terminal, dial)) {
		close_port(port);
		vmc_connect_fail(dial, ENOBUFS);
		return;
	}
	look_at(port);
}
