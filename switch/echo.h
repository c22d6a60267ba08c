/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_ECHO_H
#define VMC_SWITCH_ECHO_H

#include <stdint.h>
#include <sys/queue.h>

#include "proto/wire.h"
#include "switch/loop.h"

struct vmc_hub_port;
struct vmc_packet;

/* Echo requests of a VM with one identifier, to one address outside. */
struct vmc_echo {
	struct vmc_hub_port *port;
	struct vmc_watch watch;		/* the host's ping socket */
	struct vmc_name local;		/* the VM's; port: the identifier */
	struct vmc_name remote;		/* as the VM calls it */
	struct vmc_name target;		/* as the host does */
	int hop_limit;			/* that the socket has */
	uint64_t used_ms;
	TAILQ_ENTRY(vmc_echo) entry;
};

TAILQ_HEAD(vmc_echo_list, vmc_echo);

/* Those of one VM; the one that was not used for the longest is the first. */
struct vmc_echo_table {
	unsigned int nr;
	struct vmc_echo_list echoes;
};

void vmc_echo_init(struct vmc_echo_table *table);
int vmc_echo_send(struct vmc_hub_port *port, const struct vmc_packet *packet);
void vmc_echo_tick(struct vmc_hub_port *port, uint64_t now_ms);
void vmc_echo_end_all(struct vmc_hub_port *port);

#endif /* VMC_SWITCH_ECHO_H */
