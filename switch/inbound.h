/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_INBOUND_H
#define VMC_SWITCH_INBOUND_H

#include <stdint.h>
#include <sys/queue.h>

struct vmc_host_listener;
struct vmc_inbound;
struct vmc_relay;
struct vmc_uplink;
struct vmc_vm;

LIST_HEAD(vmc_host_listener_list, vmc_host_listener);

#define VMC_INBOUND_BUCKETS	1024

/* The host's listeners, by the VM's port. All zero at first. */
struct vmc_inbound_table {
	struct vmc_host_listener_list by_port[VMC_INBOUND_BUCKETS];
};

int vmc_inbound_open(struct vmc_uplink *uplink);
void vmc_inbound_close(struct vmc_uplink *uplink);
void vmc_inbound_update(struct vmc_uplink *uplink, struct vmc_vm *vm,
			uint16_t port);
void vmc_inbound_update_all(struct vmc_uplink *uplink);
void vmc_inbound_leave(struct vmc_uplink *uplink, struct vmc_vm *vm);
void vmc_inbound_tick(struct vmc_uplink *uplink);
void vmc_inbound_offer(struct vmc_relay *relay);
void vmc_inbound_free(struct vmc_inbound *inbound);

#endif /* VMC_SWITCH_INBOUND_H */
