/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_OFFER_H
#define VMC_OFFER_H

#include <linux/completion.h>
#include <linux/workqueue.h>
#include "sock.h"

/**
 * struct vmc_listener - a listening socket's queue
 *
 * Lives from the first listen() until its socket is freed; is in listen.c's
 * table, with a reference to the socket, while it listens.
 */
struct vmc_listener {
	struct sock *sk;		/* fixed */
	u32 id;				/* fixed while in the table */
	struct completion answered;	/* by LISTENING */

	struct work_struct pending_work;	/* holds a reference to the socket */

	/* Device's worker only; the tasklet looks whether there are any. */
	struct list_head waiting;	/* in the list of this name, if pending */
	struct list_head pending;	/* OFFERs that wait for room */
	unsigned int nr_pending;

	spinlock_t lock;
	bool is_stopped;
	u32 registered;			/* vmc_attach_generation() then */
	struct list_head ready;		/* vmc_sock.accept_node */
	unsigned int nr_ready;		/* of these, and about to be */
};

void vmc_offer_init(struct vmc_listener *listener, struct sock *sk);
void vmc_offer_refuse(const struct vmc_circuit_id *id, int error);
u32 vmc_offer_room(const struct vmc_listener *listener);
bool vmc_offer_arrived_early(struct vmc_listener *listener,
			     const struct vmc_offer *offer);
void vmc_offer_arrived(struct vmc_listener *listener,
		       const struct vmc_offer *offer);
void vmc_offer_wake(struct vmc_listener *listener);
bool vmc_offer_withdraw(const struct vmc_circuit_id *id);
void vmc_offer_forget_link(u32 link);
void vmc_offer_forget_all(void);

#endif /* VMC_OFFER_H */
