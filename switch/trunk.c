// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A trunk: the switch's own end of a link to a VM, for the uplink and the hub.
 * Owns its mappings of the two segments and the doorbell in them; knows the
 * terminals of the circuits in them. Called by link.c and the terminals.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "switch/link.h"
#include "switch/terminal.h"
#include "switch/trunk.h"
#include "switch/uplink.h"

static void rung(void *owner, uint32_t slot)
{
	struct vmc_trunk *trunk = owner;
	struct vmc_terminal *terminal = NULL;

	if (slot < trunk->link->circuits.nr_fresh)
		terminal = trunk->link->circuits.circuits[slot].terminal;
	if (terminal)
		terminal->ops->look(terminal);
}

static void hear(struct vmc_task *task)
{
	struct vmc_trunk *trunk =
		vmc_container_of(task, struct vmc_trunk, hear_task);

	vmc_bell_hear(&trunk->bell, rung, trunk);
}

static void *map_segment(const struct vmc_segment *segment, int access)
{
	void *map = mmap(NULL, VMC_SEGMENT_BYTES, access, MAP_SHARED,
			 segment->fd, 0);

	if (map == MAP_FAILED)
		return NULL;
	madvise(map, VMC_SEGMENT_BYTES, MADV_DONTDUMP);
	return map;
}

/**
 * vmc_trunk_create - give a link an end in the switch
 * @link: with its segments
 * @loop: outlives the trunk
 * @uplink: outlives the trunk; NULL: there is none
 * @ret_trunk: the trunk
 *
 * Return: 0 or -ENOMEM.
 */
int vmc_trunk_create(struct vmc_link *link, struct vmc_loop *loop,
		     struct vmc_uplink *uplink, struct vmc_trunk **ret_trunk)
{
	struct vmc_trunk *trunk = calloc(1, sizeof(*trunk));

	if (!trunk)
		return -ENOMEM;
	trunk->loop = loop;
	trunk->uplink = uplink;
	trunk->link = link;
	trunk->hear_task.run = hear;
	if (uplink)
		LIST_INSERT_HEAD(&uplink->trunks, trunk, entry);
	TAILQ_INIT(&trunk->terminals);
	trunk->tx = map_segment(&link->segments[VMC_UPLINK_END],
				PROT_READ | PROT_WRITE);
	trunk->rx = map_segment(&link->segments[!VMC_UPLINK_END], PROT_READ);
	if (!trunk->tx || !trunk->rx) {
		vmc_trunk_destroy(trunk);
		return -ENOMEM;
	}
	vmc_bell_init(&trunk->bell, trunk->tx, trunk->rx);
	*ret_trunk = trunk;
	return 0;
}

/**
 * vmc_trunk_destroy - unmap
 * @trunk: not busy, or NULL
 */
void vmc_trunk_destroy(struct vmc_trunk *trunk)
{
	if (!trunk)
		return;
	vmc_loop_cancel(trunk->loop, &trunk->hear_task);
	if (trunk->uplink)
		LIST_REMOVE(trunk, entry);
	if (trunk->tx)
		munmap(trunk->tx, VMC_SEGMENT_BYTES);
	if (trunk->rx)
		munmap((void *)trunk->rx, VMC_SEGMENT_BYTES);
	free(trunk);
}

/**
 * vmc_trunk_is_busy - whether somebody may touch the segments still
 * @trunk: the trunk
 */
bool vmc_trunk_is_busy(const struct vmc_trunk *trunk)
{
	return !TAILQ_EMPTY(&trunk->terminals);
}

/**
 * vmc_trunk_settle - a terminal left
 * @trunk: freed with its link, if that is down and this was the last
 */
void vmc_trunk_settle(struct vmc_trunk *trunk)
{
	if (trunk->link->state == VMC_LINK_DOWN && !vmc_trunk_is_busy(trunk))
		vmc_link_release(trunk->link);
}

/* Each may leave when it is called. */
static void call_all(struct vmc_trunk *trunk,
		     void (*call)(struct vmc_terminal *terminal))
{
	struct vmc_terminal *terminal, *next;

	for (terminal = TAILQ_FIRST(&trunk->terminals); terminal;
	     terminal = next) {
		next = TAILQ_NEXT(terminal, of_trunk);
		call(terminal);
	}
}

static void link_up(struct vmc_terminal *terminal)
{
	if (terminal->ops->link_up)
		terminal->ops->link_up(terminal);
}

/**
 * vmc_trunk_up - the VM has the segments
 * @trunk: the trunk; who waited for it goes on
 */
void vmc_trunk_up(struct vmc_trunk *trunk)
{
	vmc_trunk_rung(trunk);
	call_all(trunk, link_up);
}

static void abort_one(struct vmc_terminal *terminal)
{
	terminal->ops->abort(terminal);
}

/**
 * vmc_trunk_abort - the VM is gone, or the link could not be made
 * @trunk: what goes on in it is ended; it may be busy for a while
 */
void vmc_trunk_abort(struct vmc_trunk *trunk)
{
	call_all(trunk, abort_one);
}

static void destroy_one(struct vmc_terminal *terminal)
{
	terminal->ops->destroy(terminal);
}

/**
 * vmc_trunk_clear - free the owners of all terminals at once
 * @trunk: none of their operations is under way; freed with its link when that
 *	is down
 */
void vmc_trunk_clear(struct vmc_trunk *trunk)
{
	call_all(trunk, destroy_one);
}

/**
 * vmc_trunk_rung - the VM rang for this link
 * @trunk: the trunk; hears it once in a turn of the loop, however often it rang
 */
void vmc_trunk_rung(struct vmc_trunk *trunk)
{
	vmc_loop_defer(trunk->loop, &trunk->hear_task);
}

/**
 * vmc_trunk_ring - tell the VM to look at a circuit
 * @trunk: the trunk
 * @slot: the circuit's
 */
void vmc_trunk_ring(struct vmc_trunk *trunk, uint32_t slot)
{
	const struct vmc_link_end *end = &trunk->link->ends[!VMC_UPLINK_END];

	if (vmc_bell_ring(&trunk->bell, slot) && end->vm)
		vmc_vm_kick(end->vm, end->id);
}
