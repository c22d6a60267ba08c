/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_LISTENER_H
#define VMC_SWITCH_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proto/wire.h"

#define VMC_MAX_LISTENERS	16384
#define VMC_LISTENER_BUCKETS	1024

struct vmc_listener {
	uint32_t id;		/* the guest's */
	bool is_v6only;
	struct vmc_name local;	/* checked */
	uint32_t tx_bytes;	/* wishes, 0: default */
	uint32_t rx_bytes;
	uint32_t room;		/* OFFERs that it said it takes at once */
	uint32_t nr_unanswered;	/* OFFERs since, and still before that */
	LIST_ENTRY(vmc_listener) by_port;
	LIST_ENTRY(vmc_listener) by_id;
};

LIST_HEAD(vmc_listener_list, vmc_listener);

/* The listeners of one VM. All zero at first. */
struct vmc_listener_table {
	unsigned int nr;
	struct vmc_listener_list by_port[VMC_LISTENER_BUCKETS];
	struct vmc_listener_list by_id[VMC_LISTENER_BUCKETS];
};

int vmc_listener_add(struct vmc_listener_table *table,
		     const struct vmc_listener *listener);
int vmc_listener_remove(struct vmc_listener_table *table, uint32_t id,
			uint16_t *ret_port);
void vmc_listener_clear(struct vmc_listener_table *table);
bool vmc_listener_is_prompt(const struct vmc_listener *listener,
			    bool is_own);
void vmc_listener_offered(struct vmc_listener_table *table, uint32_t id);
void vmc_listener_answered(struct vmc_listener_table *table, uint32_t id);
void vmc_listener_set_room(struct vmc_listener_table *table, uint32_t id,
			   uint32_t room);
bool vmc_listener_is_taken(const struct vmc_listener_table *table,
			   const struct vmc_name *local);
const struct vmc_listener *
vmc_listener_match(const struct vmc_listener_table *table,
		   const struct vmc_name *dialled, uint64_t hash);

#endif /* VMC_SWITCH_LISTENER_H */
