/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_ENDPOINT_H
#define VMC_SWITCH_ENDPOINT_H

#include "switch/vm.h"

/* One configured endpoint: its socket, and the processes that came. */
struct vmc_endpoint {
	const struct vmc_config_vm *config;
	struct vmc_loop *loop;
	struct vmc_watch listener;
	struct vmc_vm *seats;		/* as many as processes may come */
	struct vmc_log_limit log_limit;
};

int vmc_endpoint_listen(struct vmc_endpoint *endpoint,
			const struct vmc_config_vm *config,
			struct vmc_loop *loop, struct vmc_vm *seats);
void vmc_endpoint_unlisten(struct vmc_endpoint *endpoint);

#endif /* VMC_SWITCH_ENDPOINT_H */
