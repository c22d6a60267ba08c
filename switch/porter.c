// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A porter: has the process's end of the doorbell between a guest and a
 * process. A process knows no bitmaps; it is rung for by a byte on a circuit's
 * wire, and woken through that. Owns the bell, not the segments. Called by
 * link.c, broker.c and wire.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "switch/link.h"
#include "switch/porter.h"
#include "switch/wire.h"

static void rung(void *owner, uint32_t slot)
{
	struct vmc_porter *porter = owner;

	if (slot < porter->link->circuits.nr_fresh)
		vmc_wire_wake(porter->link, porter->end, slot);
}

static void hear(struct vmc_task *task)
{
	struct vmc_porter *porter =
		vmc_container_of(task, struct vmc_porter, hear_task);

	vmc_bell_hear(&porter->bell, rung, porter);
}

/**
 * vmc_porter_create - give a link between a guest and a process a porter
 * @link: with its segments and ends
 * @end: the process's
 * @ret_porter: the porter
 *
 * Return: 0 or -ENOMEM.
 */
int vmc_porter_create(struct vmc_link *link, unsigned int end,
		      struct vmc_porter **ret_porter)
{
	struct vmc_porter *porter = calloc(1, sizeof(*porter));

	if (!porter)
		return -ENOMEM;
	porter->link = link;
	porter->loop = link->ends[end].vm->loop;
	porter->end = end;
	porter->hear_task.run = hear;
	vmc_bell_init(&porter->bell, link->segments[end].map,
		      link->segments[!end].map);
	*ret_porter = porter;
	return 0;
}

/**
 * vmc_porter_destroy - undo vmc_porter_create()
 * @porter: or NULL
 */
void vmc_porter_destroy(struct vmc_porter *porter)
{
	if (!porter)
		return;
	vmc_loop_cancel(porter->loop, &porter->hear_task);
	free(porter);
}

/**
 * vmc_porter_rung - the guest rang for this link
 * @porter: hears it once in a turn of the loop, however often it rang
 *
 * Also when the link is up: the guest rings for nobody who did not listen.
 */
void vmc_porter_rung(struct vmc_porter *porter)
{
	vmc_loop_defer(porter->loop, &porter->hear_task);
}

/**
 * vmc_porter_ring - tell the guest to look at a circuit
 * @porter: the porter
 * @slot: the circuit's
 */
void vmc_porter_ring(struct vmc_porter *porter, uint32_t slot)
{
	const struct vmc_link_end *guest = &porter->link->ends[!porter->end];

	if (vmc_bell_ring(&porter->bell, slot) && guest->vm)
		vmc_vm_kick(guest->vm, guest->id);
}
