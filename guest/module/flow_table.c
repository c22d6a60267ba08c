// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of flows, by socket and remote name, and the lists of them. Owns
 * who is in them and how many may be. Called by the other files of flows.
 */
#include <linux/jhash.h>
#include <linux/slab.h>
#include "compat.h"
#include "datagram.h"
#include "flow.h"
#include "local.h"

#define TABLE_BITS	12

/* Flows of one socket, and of all. Links have 16384 circuits each. */
#define MAX_PER_SOCKET	16384U
#define MAX_FLOWS	32768U

static struct hlist_head table[1 << TABLE_BITS];
static LIST_HEAD(all_flows);
static unsigned int nr_flows;
static DEFINE_SPINLOCK(table_lock);

static struct hlist_head *bucket_of(const struct sock *sk,
				    const struct vmc_name *remote)
{
	u32 hash = jhash(remote, sizeof(*remote), (u32)(unsigned long)sk);

	return &table[hash >> (32 - TABLE_BITS)];
}

static bool is_same_name(const struct vmc_name *a, const struct vmc_name *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/**
 * vmc_flow_find - the flow that a datagram takes
 * @sk: the socket
 * @names: both, exactly
 *
 * Under RCU, or the table's lock.
 *
 * Return: the flow, or NULL.
 */
struct vmc_flow *vmc_flow_find(const struct sock *sk,
			       const struct vmc_names *names)
{
	struct vmc_flow *flow;

	hlist_for_each_entry_rcu(flow, bucket_of(sk, &names->remote), node,
				 lockdep_is_held(&table_lock)) {
		if (flow->sk == sk &&
		    is_same_name(&flow->names.remote, &names->remote) &&
		    is_same_name(&flow->names.local, &names->local))
			return flow;
	}
	return NULL;
}

/**
 * vmc_flow_find_remote - a flow to a name, whatever it is from
 * @sk: the socket
 * @remote: the name
 * @ret_is_plain: the flow is the one that a plain sendto() takes
 *
 * Under RCU.
 *
 * Return: that one if it is known, any other, or NULL.
 */
struct vmc_flow *vmc_flow_find_remote(const struct sock *sk,
				      const struct vmc_name *remote,
				      bool *ret_is_plain)
{
	u32 bindings = atomic_read(&vmc_datagram_of(sk)->bindings);
	struct vmc_flow *flow, *found = NULL;

	*ret_is_plain = false;

	hlist_for_each_entry_rcu(flow, bucket_of(sk, remote), node) {
		if (flow->sk != sk ||
		    !is_same_name(&flow->names.remote, remote))
			continue;
		found = flow;
		*ret_is_plain = vmc_route_is_current(sk, bindings,
						     &flow->route, remote);
		if (*ret_is_plain)
			break;
	}
	return found;
}

/**
 * vmc_flow_create - a new flow in the table, DIALLING
 * @sk: ours; the flow holds a reference
 * @names: both
 * @is_offered: a peer began it. When there is a flow with these names already,
 *		both having begun at once, the new one only receives: what is
 *		sent stays in order.
 * @gfp: for the memory
 *
 * Return: the flow with a reference for the caller; one that is there already,
 * unless offered; or NULL when there are too many, the socket is closed, or
 * there is no memory.
 */
struct vmc_flow *vmc_flow_create(struct sock *sk,
				 const struct vmc_names *names,
				 bool is_offered, gfp_t gfp)
{
	struct vmc_datagram *datagram = vmc_datagram_of(sk);
	struct vmc_flow *flow, *other;
	bool is_taken = false;

	flow = kzalloc(sizeof(*flow), gfp);
	if (!flow)
		return NULL;
	flow->sk = sk;
	flow->names = *names;
	flow->is_begun = is_offered;
	flow->is_local = vmc_local_is(&names->remote);
	if (flow->is_local)
		WRITE_ONCE(datagram->is_local, true);
	spin_lock_init(&flow->lock);
	skb_queue_head_init(&flow->pending);
	timer_setup(&flow->expiry, vmc_flow_expire, 0);
	INIT_LIST_HEAD(&flow->ready);
	INIT_LIST_HEAD(&flow->reaped);
	flow->used = jiffies;
	flow->changed = jiffies;
	refcount_set(&flow->ref, 2);	/* the table's and the caller's */

	spin_lock_bh(&table_lock);
	other = vmc_flow_find(sk, names);
	if (other && !is_offered) {
		refcount_inc(&other->ref);
	} else if (!datagram->is_closed &&
		   datagram->nr_flows < MAX_PER_SOCKET &&
		   nr_flows < MAX_FLOWS) {
		sock_hold(sk);
		if (!other)
			hlist_add_head_rcu(&flow->node,
					   bucket_of(sk, &names->remote));
		list_add_tail(&flow->of_socket, &datagram->flows);
		list_add_tail(&flow->of_all, &all_flows);
		datagram->nr_flows++;
		nr_flows++;
		is_taken = true;
	}
	spin_unlock_bh(&table_lock);
	if (is_taken) {
		vmc_flow_start_sweep();
		return flow;
	}
	kfree(flow);
	return is_offered ? NULL : other;
}

/**
 * vmc_flow_put - give a reference back
 * @flow: not used by the caller afterwards, but under RCU
 */
void vmc_flow_put(struct vmc_flow *flow)
{
	if (!refcount_dec_and_test(&flow->ref))
		return;
	vmc_assert(skb_queue_empty(&flow->pending) && !flow->circuit);
	sock_put(flow->sk);
	kfree_rcu(flow, rcu);
}

/**
 * vmc_flow_unhash - nothing new is sent through a flow
 * @flow: locked
 */
void vmc_flow_unhash(struct vmc_flow *flow)
{
	spin_lock_bh(&table_lock);
	hlist_del_init_rcu(&flow->node);
	spin_unlock_bh(&table_lock);
}

/**
 * vmc_flow_remove - take a flow out of all lists
 * @flow: locked; the table's reference is the caller's now
 */
void vmc_flow_remove(struct vmc_flow *flow)
{
	struct vmc_datagram *datagram = vmc_datagram_of(flow->sk);

	spin_lock_bh(&table_lock);
	hlist_del_init_rcu(&flow->node);
	list_del(&flow->of_socket);
	list_del(&flow->of_all);
	datagram->nr_flows--;
	nr_flows--;
	spin_unlock_bh(&table_lock);
	spin_lock_bh(&datagram->ready_lock);
	list_del_init(&flow->ready);
	spin_unlock_bh(&datagram->ready_lock);
}

/* The caller has a reference, and gives it up. */
static void flow_do(struct vmc_flow *flow, void (*act)(struct vmc_flow *flow))
{
	spin_lock_bh(&flow->lock);
	act(flow);
	spin_unlock_bh(&flow->lock);
	vmc_flow_put(flow);
}

/**
 * vmc_flow_each - look at a socket's flows
 * @sk: a datagram socket
 * @act: called for each that it has, locked
 *
 * Those that begin meanwhile may be left out.
 */
void vmc_flow_each(struct sock *sk, void (*act)(struct vmc_flow *flow))
{
	struct vmc_datagram *datagram = vmc_datagram_of(sk);
	struct vmc_flow *flow;
	LIST_HEAD(flows);

	spin_lock_bh(&table_lock);
	list_splice_init(&datagram->flows, &flows);
	/* Meanwhile others may end by themselves, and leave either list. */
	while ((flow = list_first_entry_or_null(&flows, struct vmc_flow,
						of_socket))) {
		list_move(&flow->of_socket, &datagram->flows);
		refcount_inc(&flow->ref);
		spin_unlock_bh(&table_lock);
		flow_do(flow, act);
		spin_lock_bh(&table_lock);
	}
	spin_unlock_bh(&table_lock);
}

/**
 * vmc_flow_shut - a socket gets no flows any more
 * @sk: being closed
 * @act: called for each that it has, locked
 */
void vmc_flow_shut(struct sock *sk, void (*act)(struct vmc_flow *flow))
{
	spin_lock_bh(&table_lock);
	WRITE_ONCE(vmc_datagram_of(sk)->is_closed, true);
	spin_unlock_bh(&table_lock);
	vmc_flow_each(sk, act);
}

/**
 * vmc_flow_visit - look at every flow there is
 * @act: called for each, locked
 *
 * Process context. Those that begin meanwhile may be left out.
 *
 * Return: how many there are now.
 */
unsigned int vmc_flow_visit(void (*act)(struct vmc_flow *flow))
{
	unsigned int nr_left = READ_ONCE(nr_flows);
	struct vmc_flow *flow;

	/* Each goes to the end of the list. */
	while (nr_left--) {
		spin_lock_bh(&table_lock);
		flow = list_first_entry_or_null(&all_flows, struct vmc_flow,
						of_all);
		if (flow) {
			list_move_tail(&flow->of_all, &all_flows);
			refcount_inc(&flow->ref);
		}
		spin_unlock_bh(&table_lock);
		if (!flow)
			break;
		flow_do(flow, act);
		cond_resched();
	}
	return READ_ONCE(nr_flows);
}

/**
 * vmc_flow_is_crowded - whether more than half of the flows are in use
 */
bool vmc_flow_is_crowded(void)
{
	return READ_ONCE(nr_flows) > MAX_FLOWS / 2;
}
