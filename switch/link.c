// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A link: what two VMs share, or a VM and the uplink. Owns the two segments;
 * the circuits in it are slot.c's, the mappings belong to the VMs' windows, and
 * to the trunk. Called by broker.c, connect.c and the trunk.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "switch/link.h"
#include "switch/porter.h"
#include "switch/trunk.h"
#include "switch/wire.h"

#define UPLINK_NAME	"uplink"
/* The same without an uplink: for the hub alone. */
#define HUB_NAME	"hub"

/**
 * vmc_link_is_self - whether both ends are in one VM
 * @link: the link
 */
bool vmc_link_is_self(const struct vmc_link *link)
{
	return link->ends[0].vm == link->ends[1].vm;
}

static bool is_process(const struct vmc_link_end *end)
{
	return end->vm && end->vm->config->is_endpoint;
}

/**
 * vmc_link_has_process - whether its circuits have wires
 * @link: the link, with both ends, or with one that is a process
 */
bool vmc_link_has_process(const struct vmc_link *link)
{
	return is_process(&link->ends[0]) || is_process(&link->ends[1]);
}

/**
 * vmc_link_peer_name - who is at the other end
 * @link: the link
 * @end: this end
 *
 * Return: the name, "" when that VM is gone.
 */
const char *vmc_link_peer_name(const struct vmc_link *link, unsigned int end)
{
	const struct vmc_vm *peer = link->ends[!end].vm;

	if (link->trunk && end != VMC_UPLINK_END)
		return link->trunk->uplink ? UPLINK_NAME : HUB_NAME;
	return peer ? peer->config->name : "";
}

/* Give the VM a number for this end of the link. */
static int enter(struct vmc_link *link, unsigned int end, struct vmc_vm *vm)
{
	uint32_t id = 0;

	while (id < VMC_MAX_LINKS && vm->links[id])
		id++;
	if (id == VMC_MAX_LINKS)
		return -ENOBUFS;
	if (!++vm->link_generation)
		vm->link_generation = 1;
	vm->links[id] = link;
	vm->link_ends[id] = end;
	link->ends[end].vm = vm;
	link->ends[end].id = id;
	link->ends[end].generation = vm->link_generation;
	return 0;
}

static void unmap(struct vmc_link_end *end)
{
	struct vmc_window *window = &end->vm->connection.window;

	if (end->tx)
		vmc_window_unmap(window, end->tx);
	if (end->rx)
		vmc_window_unmap(window, end->rx);
	end->tx = NULL;
	end->rx = NULL;
}

static void leave(struct vmc_link_end *end)
{
	if (!end->vm)
		return;
	end->vm->links[end->id] = NULL;
	end->vm->kicks &= ~(1ULL << end->id);
	end->vm = NULL;
}

static void destroy(struct vmc_link *link)
{
	uint32_t slot;

	leave(&link->ends[0]);
	leave(&link->ends[1]);
	for (slot = 0; slot < link->circuits.nr_fresh; slot++)
		vmc_wire_destroy(link, slot);
	vmc_porter_destroy(link->porter);
	vmc_trunk_destroy(link->trunk);
	vmc_segment_destroy(&link->segments[0]);
	vmc_segment_destroy(&link->segments[1]);
	vmc_segment_destroy(&link->wake_area);
	free(link);
}

static void send_up(struct vmc_link *link, unsigned int i)
{
	const struct vmc_link_end *end = &link->ends[i];
	const struct vmc_link_end *peer = &link->ends[!i];
	const struct vmc_window *window = &end->vm->connection.window;
	/* End 1 of a link to oneself uses the mappings of end 0. */
	const struct vmc_mapping *tx = end->tx ? end->tx : peer->rx;
	const struct vmc_mapping *rx = end->rx ? end->rx : peer->tx;
	struct vmc_link_up up = {
		.link = htole32(end->id),
		.generation = htole32(end->generation),
		.segment_bytes = htole64(VMC_SEGMENT_BYTES),
		.flags = htole32(link->trunk ? VMC_LINK_UPLINK : 0),
	};

	if (is_process(end)) {
		/* Descriptors go with it. */
		up.flags |= htole32(i ? VMC_LINK_END_1 : 0);
	} else {
		up.tx_window = htole64(vmc_window_offset(window, tx));
		up.rx_window = htole64(vmc_window_offset(window, rx));
	}
	snprintf(up.peer, sizeof(up.peer), "%s", vmc_link_peer_name(link, i));
	vmc_vm_send(end->vm, VMC_MSG_LINK_UP, &up);
}

static void unmap_all(struct vmc_link *link)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (link->ends[i].vm)
			unmap(&link->ends[i]);
	}
}

/* Nobody needs the link, but for relays whose last operations still run. */
static void retire(struct vmc_link *link)
{
	leave(&link->ends[0]);
	leave(&link->ends[1]);
	link->state = VMC_LINK_DOWN;
	if (!link->trunk || !vmc_trunk_is_busy(link->trunk))
		destroy(link);
}

static void fail(struct vmc_link *link)
{
	link->ops->failed(link);
	unmap_all(link);
	retire(link);
}

static void go_up(struct vmc_link *link)
{
	link->state = VMC_LINK_UP;
	send_up(link, 0);
	if (!link->trunk)
		send_up(link, 1);
	if (link->porter)
		vmc_porter_rung(link->porter);
}

static void mapping_done(struct vmc_mapping *mapping, int error)
{
	struct vmc_link *link = mapping->owner;

	if (error) {
		vmc_log(VMC_LOG_WARNING,
			"the link of \"%s\" and \"%s\" cannot be mapped: %s",
			vmc_link_peer_name(link, 1),
			vmc_link_peer_name(link, 0), strerror(-error));
		fail(link);
		return;
	}
	if (--link->nr_unmapped)
		return;
	go_up(link);
	link->ops->up(link);
}

/* Ask for both segments in the window of one end, if it has a window. */
static int map(struct vmc_link *link, unsigned int i, bool is_self)
{
	struct vmc_link_end *end = &link->ends[i];
	struct vmc_window *window = &end->vm->connection.window;
	int error;

	if (is_process(end))
		return 0;
	error = vmc_window_map(window, link->segments[i].fd, VMC_SEGMENT_BYTES,
			       true, mapping_done, link, &end->tx);
	if (error)
		return error;
	error = vmc_window_map(window, link->segments[!i].fd,
			       VMC_SEGMENT_BYTES, is_self, mapping_done, link,
			       &end->rx);
	if (error)
		return error;
	link->nr_unmapped += 2;
	return 0;
}

static int create(const struct vmc_link_ops *ops, struct vmc_link **ret_link)
{
	struct vmc_link *link = calloc(1, sizeof(*link));
	int error;

	if (!link)
		return -ENOMEM;
	link->state = VMC_LINK_MAPPING;
	link->ops = ops;
	link->segments[0].fd = -1;
	link->segments[1].fd = -1;
	link->wake_area.fd = -1;
	TAILQ_INIT(&link->dials);
	vmc_buddy_init(&link->rings[0]);
	vmc_buddy_init(&link->rings[1]);
	error = vmc_segment_create(&link->segments[0]);
	if (!error)
		error = vmc_segment_create(&link->segments[1]);
	if (error) {
		destroy(link);
		return error;
	}
	*ret_link = link;
	return 0;
}

/* Give the link out, or what there is of it back. */
static int begin(struct vmc_link *link, int error, struct vmc_link **ret_link)
{
	if (error) {
		unmap_all(link);
		destroy(link);
		return error;
	}
	*ret_link = link;
	return 0;
}

/**
 * vmc_link_create - begin to join two VMs
 * @a: one VM, which becomes end 0
 * @b: the other or the same
 * @ops: called later; up() once, or failed()
 * @ret_link: the link, being mapped; up if nobody has to map, without up()
 *
 * Return: 0; -ENOBUFS when a VM has no link or stride left; -ENOMEM; or the
 * error of making or mapping the segments.
 */
int vmc_link_create(struct vmc_vm *a, struct vmc_vm *b,
		    const struct vmc_link_ops *ops,
		    struct vmc_link **ret_link)
{
	struct vmc_link *link;
	int error;

	error = create(ops, &link);
	if (error)
		return error;
	error = enter(link, 0, a);
	if (!error)
		error = enter(link, 1, b);
	if (!error)
		error = map(link, 0, a == b);
	if (!error && a != b)
		error = map(link, 1, false);
	if (!error && vmc_link_has_process(link))
		error = vmc_segment_create_wake_area(&link->wake_area);
	if (!error && is_process(&link->ends[0]) != is_process(&link->ends[1]))
		error = vmc_porter_create(link, is_process(&link->ends[1]),
					  &link->porter);
	if (!error && !link->nr_unmapped)
		go_up(link);
	return begin(link, error, ret_link);
}

/**
 * vmc_link_create_to_uplink - begin to join a VM and the switch itself
 * @vm: the VM, which becomes end 0
 * @uplink: it holds its end through the link's trunk; NULL: only the hub does
 * @ops: as for vmc_link_create()
 * @ret_link: the link, being mapped
 *
 * Return: as vmc_link_create().
 */
int vmc_link_create_to_uplink(struct vmc_vm *vm, struct vmc_uplink *uplink,
			      const struct vmc_link_ops *ops,
			      struct vmc_link **ret_link)
{
	struct vmc_link *link;
	int error;

	error = create(ops, &link);
	if (error)
		return error;
	error = vmc_trunk_create(link, vm->loop, uplink, &link->trunk);
	if (!error)
		error = enter(link, 0, vm);
	if (!error)
		error = map(link, 0, false);
	return begin(link, error, ret_link);
}

/**
 * vmc_link_find - find the link that new circuits use
 * @a: who dials
 * @b: who is dialled
 * @ret_end: the dialler's end
 *
 * Return: the link, or NULL; never one that is down.
 */
struct vmc_link *vmc_link_find(const struct vmc_vm *a, const struct vmc_vm *b,
			       unsigned int *ret_end)
{
	struct vmc_link *link;
	unsigned int id, end;

	for (id = 0; id < VMC_MAX_LINKS; id++) {
		link = a->links[id];
		end = a->link_ends[id];
		if (!link || link->trunk || link->state == VMC_LINK_DOWN ||
		    link->ends[!end].vm != b)
			continue;
		/* In a link to oneself end 0 dials. */
		*ret_end = a == b ? 0 : end;
		return link;
	}
	return NULL;
}

/**
 * vmc_link_find_to_uplink - find the link to the uplink
 * @vm: the VM
 *
 * Return: the link, or NULL.
 */
struct vmc_link *vmc_link_find_to_uplink(const struct vmc_vm *vm)
{
	unsigned int id;

	for (id = 0; id < VMC_MAX_LINKS; id++) {
		if (vm->links[id] && vm->links[id]->trunk)
			return vm->links[id];
	}
	return NULL;
}

/* Who is left is to let go. */
static void go_down(struct vmc_link *link, const struct vmc_link_end *left)
{
	const struct vmc_link_down down = {
		.link = htole32(left->id),
		.generation = htole32(left->generation),
	};

	link->state = VMC_LINK_DOWN;
	left->vm->kicks &= ~(1ULL << left->id);
	vmc_vm_send(left->vm, VMC_MSG_LINK_DOWN, &down);
}

/**
 * vmc_link_leave - a VM is gone
 * @link: freed, unless the other end must release it first
 * @vm: the VM; its mappings are the window's business already
 *
 * The circuits and dials of the link are dealt with already.
 */
void vmc_link_leave(struct vmc_link *link, struct vmc_vm *vm)
{
	unsigned int i = link->ends[1].vm == vm;
	struct vmc_link_end *end = &link->ends[i];
	struct vmc_link_end *peer = &link->ends[!i];

	end->tx = NULL;
	end->rx = NULL;
	if (peer->vm == vm || !peer->vm) {
		retire(link);
		return;
	}
	if (link->state == VMC_LINK_MAPPING) {
		unmap(peer);
		destroy(link);
		return;
	}
	leave(end);
	go_down(link, peer);
}

/**
 * vmc_link_end_if_over - go down if a process left it, and each circuit is over
 * @link: any
 */
void vmc_link_end_if_over(struct vmc_link *link)
{
	const struct vmc_link_end *ends = link->ends;

	if (link->trunk || link->state != VMC_LINK_UP ||
	    link->circuits.nr_open || (ends[0].vm && ends[1].vm))
		return;
	go_down(link, &ends[!ends[0].vm]);
}

/**
 * vmc_link_depart - a process is gone, but what it sent is still to be read
 * @link: freed, if the other end is gone too
 * @vm: the process; its ends of the circuits are closed already
 */
void vmc_link_depart(struct vmc_link *link, struct vmc_vm *vm)
{
	unsigned int i = link->ends[1].vm == vm;

	leave(&link->ends[i]);
	if (link->ends[!i].vm)
		vmc_link_end_if_over(link);
	else
		destroy(link);
}

/**
 * vmc_link_let_go - the switch ends, which is nothing to two processes
 * @link: any; one of two processes has no circuits afterwards, so that nothing
 *	is said in their names, and no ring is cleared under their hands
 */
void vmc_link_let_go(struct vmc_link *link)
{
	uint32_t slot;

	if (link->porter || !vmc_link_has_process(link))
		return;
	for (slot = 0; slot < link->circuits.nr_fresh; slot++) {
		vmc_wire_destroy(link, slot);
		link->circuits.circuits[slot] = (struct vmc_circuit){ 0 };
	}
	link->circuits.nr_open = 0;
}

/**
 * vmc_link_release - the end that stayed uses the link no more
 * @link: down; freed
 */
void vmc_link_release(struct vmc_link *link)
{
	unmap_all(link);
	destroy(link);
}
