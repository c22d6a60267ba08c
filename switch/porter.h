/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_PORTER_H
#define VMC_SWITCH_PORTER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/bell.h"
#include "switch/loop.h"

struct vmc_link;

/* Who rings and hears the doorbell of a guest for a process. */
struct vmc_porter {
	struct vmc_link *link;
	struct vmc_loop *loop;
	unsigned int end;	/* the process's */
	struct vmc_bell bell;
	struct vmc_task hear_task;
};

int vmc_porter_create(struct vmc_link *link, unsigned int end,
		      struct vmc_porter **ret_porter);
void vmc_porter_destroy(struct vmc_porter *porter);
void vmc_porter_rung(struct vmc_porter *porter);
void vmc_porter_ring(struct vmc_porter *porter, uint32_t slot);

#endif /* VMC_SWITCH_PORTER_H */
