/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_HUB_H
#define VMC_SWITCH_HUB_H

#include "switch/connect.h"
#include "switch/echo.h"
#include "switch/packet.h"
#include "switch/terminal.h"

/* The switch's end of a VM's circuit to the hub. */
struct vmc_hub_port {
	struct vmc_vm_table *table;
	struct vmc_vm *vm;
	struct vmc_terminal terminal;
	struct vmc_task task;		/* take what the VM sent */
	uint32_t nr_unsent;		/* packets that found no room */
	uint64_t window_began_ms;	/* how much it sent lately */
	uint64_t window_bytes;
	uint64_t last_window_bytes;
	struct vmc_echo_table echoes;
};

void vmc_hub_open(struct vmc_vm_table *table, struct vmc_dial *dial);
void vmc_hub_give(struct vmc_hub_port *port, const uint8_t *packet,
		  uint32_t nr_bytes);
void vmc_hub_tell_error(struct vmc_hub_port *port,
			const struct vmc_name *from,
			const struct vmc_packet *about,
			struct vmc_packet_error error);

#endif /* VMC_SWITCH_HUB_H */
