/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_LINK_H
#define VMC_LINK_H

#include <linux/kref.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include "../../proto/ring.h"
#include "../../proto/wire.h"

struct vmc_circuit;

#define VMC_NO_LINK	VMC_MAX_LINKS

/**
 * struct vmc_link - what this VM shares with one peer
 * @ref: the table holds one, each attached circuit holds one
 * @slots: who sits where; RCU, written under @lock
 * @lock: guards @slots, @nr_words and the bell's private copies; a leaf
 */
struct vmc_link {
	/* Fixed after creation. */
	u32 id;
	u32 generation;
	u32 attachment;		/* for vmc_request_send() */
	u64 segment_bytes;
	bool is_uplink;		/* the peer is the switch, with a host socket */
	u32 twin;		/* the peer's, if it is this VM; else VMC_NO_LINK */
	phys_addr_t tx_address;	/* of the two segments, for mappings */
	phys_addr_t rx_address;
	struct vmc_segment_header *tx;
	const struct vmc_segment_header *rx;
	char peer[VMC_NAME_BYTES];

	struct kref ref;
	struct rcu_work release_work;
	bool is_dead;		/* set once, the segments may go away */
	bool is_answer_due;	/* LINK_RELEASED, to a LINK_DOWN */

	spinlock_t lock;
	struct vmc_circuit __rcu **slots;
	unsigned int nr_words;	/* bell words that any slot ever used */
	u64 pending[VMC_BELL_WORDS];
	u64 ack[VMC_BELL_WORDS];
	u32 kick_wanted;
	u32 kick_seen;		/* the peer's, last answered */
};

void vmc_link_init(void (*all_released)(void));
void vmc_link_exit(void);
bool vmc_link_is_any(void);
int vmc_link_up(const struct vmc_link_up *up, u32 attachment);
void vmc_link_down(const struct vmc_link_down *down, u32 attachment);
void vmc_link_down_all(void);
struct vmc_link *vmc_link_get(u32 id);
struct vmc_link *vmc_link_hold(struct vmc_link *link);
void vmc_link_put(struct vmc_link *link);
int vmc_link_seat(struct vmc_link *link, u32 slot, struct vmc_circuit *circuit);
void vmc_link_unseat(struct vmc_link *link, u32 slot,
		     struct vmc_circuit *circuit);
void vmc_link_ring(struct vmc_link *link, u32 slot);
void vmc_link_hear(u32 raw_id);
void vmc_link_hear_own(void);
struct vmc_circuit *vmc_link_circuit(struct vmc_link *link, u32 slot);

#endif /* VMC_LINK_H */
