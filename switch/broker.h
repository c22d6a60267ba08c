/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_BROKER_H
#define VMC_SWITCH_BROKER_H

#include "switch/connect.h"

/* The switch itself: every VM, and what they may do with each other. */
struct vmc_broker {
	struct vmc_loop *loop;
	struct vmc_watch heartbeat;
	struct vmc_vm_table table;
	struct vmc_endpoint *endpoints;
	uint64_t epoch;
	uint64_t started_ms;
};

int vmc_broker_create(const struct vmc_config *config, struct vmc_loop *loop,
		      struct vmc_broker **ret_broker);
void vmc_broker_shut_down(struct vmc_broker *broker);
void vmc_broker_destroy(struct vmc_broker *broker);

#endif /* VMC_SWITCH_BROKER_H */
