/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_TRUNK_H
#define VMC_SWITCH_TRUNK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/bell.h"
#include "switch/loop.h"

struct vmc_link;
struct vmc_terminal;
struct vmc_uplink;

TAILQ_HEAD(vmc_terminal_list, vmc_terminal);

/* The switch's own end of a link to a VM. */
struct vmc_trunk {
	struct vmc_loop *loop;
	struct vmc_uplink *uplink;	/* NULL: there is none */
	struct vmc_link *link;
	uint8_t *tx;			/* the whole segment that we write */
	const uint8_t *rx;		/* and the one that the VM writes */
	struct vmc_bell bell;
	struct vmc_task hear_task;
	struct vmc_terminal_list terminals;
	LIST_ENTRY(vmc_trunk) entry;	/* in the uplink's */
};

int vmc_trunk_create(struct vmc_link *link, struct vmc_loop *loop,
		     struct vmc_uplink *uplink, struct vmc_trunk **ret_trunk);
void vmc_trunk_destroy(struct vmc_trunk *trunk);
bool vmc_trunk_is_busy(const struct vmc_trunk *trunk);
void vmc_trunk_up(struct vmc_trunk *trunk);
void vmc_trunk_abort(struct vmc_trunk *trunk);
void vmc_trunk_settle(struct vmc_trunk *trunk);
void vmc_trunk_clear(struct vmc_trunk *trunk);
void vmc_trunk_rung(struct vmc_trunk *trunk);
void vmc_trunk_ring(struct vmc_trunk *trunk, uint32_t slot);

#endif /* VMC_SWITCH_TRUNK_H */
