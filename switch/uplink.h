/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_UPLINK_H
#define VMC_SWITCH_UPLINK_H

#include "switch/connect.h"
#include "switch/datagram_socket.h"
#include "switch/flow.h"
#include "switch/inbound.h"
#include "switch/trunk.h"
#include "switch/uring.h"

LIST_HEAD(vmc_trunk_list, vmc_trunk);

/* The part of the switch that ends circuits in host sockets. */
struct vmc_uplink {
	struct vmc_loop *loop;
	struct vmc_vm_table *table;
	struct vmc_uring uring;
	struct vmc_trunk_list trunks;
	struct vmc_inbound_table inbound;
	struct vmc_datagram_table datagrams;
	struct vmc_flow_table flows;
};

int vmc_uplink_create(struct vmc_vm_table *table, struct vmc_loop *loop,
		      struct vmc_uplink **ret_uplink);
void vmc_uplink_leave(struct vmc_uplink *uplink, struct vmc_vm *vm);
void vmc_uplink_update(struct vmc_uplink *uplink);
void vmc_uplink_tick(struct vmc_uplink *uplink);
void vmc_uplink_stop(struct vmc_uplink *uplink);
void vmc_uplink_destroy(struct vmc_uplink *uplink);
int vmc_uplink_name_for_guest(const struct vmc_uplink *uplink,
			      struct vmc_vm *vm, struct vmc_name *remote);
int vmc_uplink_target(const struct vmc_config_uplink *config,
		      const struct vmc_config_vm *vm,
		      const struct vmc_name *remote,
		      struct vmc_name *ret_target);
bool vmc_uplink_is_in_the_way(const struct vmc_policy_query *query,
			      const struct vmc_policy_verdict *verdict);
int vmc_uplink_resolve(const struct vmc_uplink *uplink, struct vmc_vm *vm,
		       enum vmc_protocol protocol,
		       const struct vmc_name *remote,
		       struct vmc_name *ret_target,
		       const struct vmc_carriage **ret_carriage);
bool vmc_uplink_admits(const struct vmc_uplink *uplink,
		       const struct vmc_vm *vm, enum vmc_protocol protocol,
		       const struct vmc_name *remote,
		       const struct vmc_name *guest, bool is_published);
int vmc_uplink_check(const struct vmc_uplink *uplink, struct vmc_vm *vm,
		     enum vmc_protocol protocol,
		     const struct vmc_name *remote);

#endif /* VMC_SWITCH_UPLINK_H */
