/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_WIRE_H
#define VMC_SWITCH_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "switch/loop.h"

struct vmc_link;

/* The socket pair of a circuit that has a process at one end or both. */
struct vmc_wire {
	struct vmc_link *link;
	uint32_t slot;
	/* Of each end, until its process has it; -1: none. */
	int fds[2];
	/* The end of a guest, which stays here; fd -1: two processes. */
	struct vmc_watch watch;
};

int vmc_wire_create(struct vmc_link *link, uint32_t slot);
void vmc_wire_destroy(struct vmc_link *link, uint32_t slot);
void vmc_wire_wake(struct vmc_link *link, unsigned int end, uint32_t slot);
bool vmc_wire_has_unread(const struct vmc_link *link, unsigned int end,
			 uint32_t slot);
void vmc_wire_say(struct vmc_link *link, unsigned int end, uint32_t slot,
		  uint32_t flags);

#endif /* VMC_SWITCH_WIRE_H */
