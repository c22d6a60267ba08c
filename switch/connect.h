/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_CONNECT_H
#define VMC_SWITCH_CONNECT_H

#include "switch/link.h"

/*
 * The switch's VMs: all that a connect needs to find its way. First the guests
 * in the order of the configuration, then a seat for each process that may
 * come to each endpoint.
 */
struct vmc_vm_table {
	const struct vmc_config *config;
	unsigned int nr;
	struct vmc_vm *vms;
	struct vmc_uplink *uplink;	/* NULL: there is none */
};

void vmc_connect_dial(struct vmc_vm_table *table, struct vmc_vm *vm,
		      const struct vmc_connect *raw_connect);
void vmc_connect_cancel(struct vmc_vm *vm, uint32_t cookie);
void vmc_connect_fail(struct vmc_dial *dial, int error);
int vmc_connect_link_to_uplink(struct vmc_vm *vm, struct vmc_uplink *uplink,
			       struct vmc_link **ret_link);

#endif /* VMC_SWITCH_CONNECT_H */
