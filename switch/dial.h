/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_DIAL_H
#define VMC_SWITCH_DIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proto/wire.h"

#define VMC_MAX_DIALS		8192
#define VMC_DIAL_BUCKETS	1024

struct vmc_link;
struct vmc_relay;
struct vmc_vm;
struct vmc_vm_table;

enum vmc_dial_stage {
	VMC_DIAL_NEW,
	VMC_DIAL_WAITING,	/* for the link to come up */
	VMC_DIAL_OFFERED,	/* to the VM at the other end */
	VMC_DIAL_OUTSIDE,	/* the uplink dials on */
};

/* A CONNECT that has no answer yet. */
struct vmc_dial {
	struct vmc_vm *vm;		/* who dials */
	uint32_t cookie;
	uint32_t tx_bytes;		/* wishes, 0: default */
	uint32_t rx_bytes;
	bool is_datagram;
	struct vmc_vm_table *hub;	/* who is there; NULL: not to the hub */
	struct vmc_name local;		/* checked */
	struct vmc_name remote;		/* checked */

	enum vmc_dial_stage stage;
	struct vmc_link *link;		/* over which, unless NEW */
	unsigned int end;		/* the dialler's end of the link */
	uint32_t slot;			/* when OFFERED */
	struct vmc_relay *relay;	/* when OUTSIDE */

	LIST_ENTRY(vmc_dial) entry;	/* in the VM's table */
	TAILQ_ENTRY(vmc_dial) waiting;	/* for the link, when WAITING */
};

LIST_HEAD(vmc_dial_list, vmc_dial);

/* The unanswered CONNECTs of one VM. All zero at first. */
struct vmc_dial_table {
	unsigned int nr;
	struct vmc_dial_list buckets[VMC_DIAL_BUCKETS];
};

int vmc_dial_add(struct vmc_dial_table *table, uint32_t cookie,
		 struct vmc_dial **ret_dial);
struct vmc_dial *vmc_dial_find(const struct vmc_dial_table *table,
			       uint32_t cookie);
struct vmc_dial *vmc_dial_any(const struct vmc_dial_table *table);
void vmc_dial_remove(struct vmc_dial_table *table, struct vmc_dial *dial);

#endif /* VMC_SWITCH_DIAL_H */
