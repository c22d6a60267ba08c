/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_FLOW_H
#define VMC_FLOW_H

#include <linux/refcount.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include "circuit.h"
#include "route.h"
#include "sock.h"

enum vmc_flow_state {
	VMC_FLOW_DIALLING,	/* CONNECT is under way; datagrams wait */
	VMC_FLOW_OPEN,
	VMC_FLOW_ENDING,	/* sends nothing new; the rest is on its way */
	VMC_FLOW_OVER,		/* touched by the device's worker only */
};

/**
 * struct vmc_flow - a socket's datagrams from and to one other name
 *
 * Is in the table and in its socket's list until it is over; each timer, work
 * and cookie holds a reference, and so do the table and who looks at it
 * without RCU.
 */
struct vmc_flow {
	/* Fixed after creation. */
	struct sock *sk;		/* a reference */
	struct vmc_names names;
	bool is_local;			/* between sockets of this VM */

	refcount_t ref;
	struct rcu_head rcu;

	/* The table's lock. */
	struct hlist_node node;		/* RCU; unhashed: nothing new is sent */
	struct list_head of_socket;
	struct list_head of_all;

	spinlock_t lock;
	enum vmc_flow_state state;
	bool is_begun;			/* somebody dials, or a peer did */
	bool is_abort;			/* how it ends */
	bool is_counted;		/* what the peer left unread is */
	struct vmc_circuit *circuit;
	struct sk_buff_head pending;	/* IP packets, in order */
	struct timer_list expiry;	/* of the oldest of them */
	u32 cookie;			/* of the CONNECT under way */
	u32 attachment;			/* in which it was sent */
	u32 peer_unsent;		/* the peer's counter, last seen */
	u32 peer_errors;		/* likewise */
	u32 own_unsent;
	u32 own_refused;
	unsigned long used;		/* when, jiffies */
	unsigned long changed;		/* the state did, jiffies */
	struct vmc_route_basis route;

	struct list_head ready;		/* the socket's ready_lock */
	struct list_head reaped;	/* reap_lock */
};

/* flow_table.c */
struct vmc_flow *vmc_flow_find(const struct sock *sk,
			       const struct vmc_names *names);
struct vmc_flow *vmc_flow_find_remote(const struct sock *sk,
				      const struct vmc_name *remote,
				      bool *ret_is_plain);
struct vmc_flow *vmc_flow_create(struct sock *sk,
				 const struct vmc_names *names,
				 bool is_offered, gfp_t gfp);
void vmc_flow_put(struct vmc_flow *flow);
void vmc_flow_unhash(struct vmc_flow *flow);
void vmc_flow_remove(struct vmc_flow *flow);
void vmc_flow_each(struct sock *sk, void (*act)(struct vmc_flow *flow));
void vmc_flow_shut(struct sock *sk, void (*act)(struct vmc_flow *flow));
unsigned int vmc_flow_visit(void (*act)(struct vmc_flow *flow));
bool vmc_flow_is_crowded(void);

/* flow.c */
void vmc_flow_finish(struct vmc_flow *flow, bool abort);
void vmc_flow_update(struct vmc_flow *flow);
void vmc_flow_close_all(struct sock *sk);
void vmc_flow_settle(struct sock *sk);
void vmc_flow_end_unwanted(struct sock *sk);
void vmc_flow_start_sweep(void);
int vmc_flow_init(void);
void vmc_flow_exit(void);

extern const struct vmc_circuit_user vmc_flow_circuit_user;

/* flow_dial.c */
void vmc_flow_dial(struct vmc_flow *flow);
void vmc_flow_give_up(struct vmc_flow *flow);
bool vmc_flow_is_cookie(u32 cookie);
bool vmc_flow_answered(const struct vmc_connected *answer);
void vmc_flow_reject(const struct vmc_connected *answer, u32 attachment);
void vmc_flow_failed(u32 cookie, int error);
void vmc_flow_fail_all(int error);
void vmc_flow_arrive(struct sock *sk);
void vmc_flow_offered(const struct vmc_offer *offer);

/* flow_send.c */
bool vmc_flow_transmit(struct sk_buff *skb);
int vmc_flow_send(struct vmc_flow *flow, const struct iov_iter *from,
		  u32 bytes);
bool vmc_flow_flush(struct vmc_flow *flow);
void vmc_flow_drop_pending(struct vmc_flow *flow, int error);
void vmc_flow_refuse(struct sk_buff_head *packets, int error);
void vmc_flow_expire(struct timer_list *timer);
void vmc_flow_count_unread(struct vmc_flow *flow);

/* flow_receive.c */
int vmc_flow_take(struct vmc_flow *flow, struct msghdr *msg, size_t room_bytes);
int vmc_flow_device(const struct vmc_names *names);
bool vmc_flow_is_wanted(const struct vmc_flow *flow);
unsigned int vmc_flow_drain(struct vmc_flow *flow, bool *ret_is_stuck);

#endif /* VMC_FLOW_H */
