// SPDX-License-Identifier: GPL-2.0-only
/*
 * Flows: the circuits of datagram sockets. A flow begins with the first
 * datagram to a name (flow_dial.c), or with a peer's; both directions use it,
 * and it ends when nobody has for a while, or with its socket. This file owns
 * the table, the way to the end, and what a bell does; datagrams go in and out
 * in flow_send.c and flow_receive.c.
 *
 * The end of a flow that nobody uses must not cost a datagram that the peer is
 * just sending. So it begins with FIN; the peer sends what it has, answers
 * FIN, and both say CLOSE when they have taken everything. A socket that is
 * closed takes nothing any more, and says FIN and GONE at once.
 *
 * Locks: a flow's is taken by system calls, bells, the worker and its timer,
 * always with bottom halves off; copies are made with it, and never wait for a
 * page. Inside it: the table's, a socket's ready_lock, and those of
 * vmc_link.lock's level and below (sock.c).
 */
#include <linux/jhash.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "compat.h"
#include "datagram.h"
#include "device.h"
#include "flow.h"
#include "link.h"
#include "stats.h"

#define TABLE_BITS	12

/* Flows of one socket, and of all. Links have 16384 circuits each. */
#define MAX_PER_SOCKET	16384U
#define MAX_FLOWS	32768U

/* How often flows are looked at, and when they have had their time. */
#define SWEEP_MS	1000
#define DIAL_MS		5000
#define IDLE_MS		30000
#define IDLE_CROWDED_MS	3000
#define ENDING_MS	3000

static struct hlist_head table[1 << TABLE_BITS];
static LIST_HEAD(all_flows);
static unsigned int nr_flows;
static DEFINE_SPINLOCK(table_lock);

static LIST_HEAD(reaped_flows);
static DEFINE_SPINLOCK(reap_lock);

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
 *
 * Under RCU.
 *
 * Return: one whose route is known if there is any, or NULL.
 */
struct vmc_flow *vmc_flow_find_remote(const struct sock *sk,
				      const struct vmc_name *remote)
{
	struct vmc_flow *flow, *found = NULL;

	hlist_for_each_entry_rcu(flow, bucket_of(sk, remote), node) {
		if (flow->sk != sk ||
		    !is_same_name(&flow->names.remote, remote))
			continue;
		found = flow;
		if (READ_ONCE(flow->route.is_known))
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

/* Out of all lists; the table's reference is the caller's then. Locked. */
static void flow_forget(struct vmc_flow *flow)
{
	struct vmc_datagram *datagram = vmc_datagram_of(flow->sk);

	flow->state = VMC_FLOW_OVER;
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
	if (timer_delete(&flow->expiry))
		vmc_flow_put(flow);
}

static void reap_work(struct work_struct *work)
{
	struct vmc_flow *flow;

	for (;;) {
		spin_lock_bh(&reap_lock);
		flow = list_first_entry_or_null(&reaped_flows, struct vmc_flow,
						reaped);
		if (flow)
			list_del_init(&flow->reaped);
		spin_unlock_bh(&reap_lock);
		if (!flow)
			return;
		if (flow->circuit)
			vmc_circuit_close(flow->circuit, flow->is_abort);
		flow->circuit = NULL;
		vmc_flow_put(flow);
		cond_resched();
	}
}

static DECLARE_WORK(reaper, reap_work);

/**
 * vmc_flow_finish - a flow is over; peer and switch hear it from the worker
 * @flow: locked, not over
 * @abort: reset the peer
 */
void vmc_flow_finish(struct vmc_flow *flow, bool abort)
{
	vmc_flow_drop_pending(flow, 0);
	flow_forget(flow);
	flow->is_abort = abort;
	spin_lock_bh(&reap_lock);
	list_add_tail(&flow->reaped, &reaped_flows);
	spin_unlock_bh(&reap_lock);
	queue_work(vmc_device_worker(), &reaper);
}

/* Locked. Says that no more will come from here; what waits comes first. */
static void flow_say_fin(struct vmc_flow *flow)
{
	struct vmc_circuit *circuit = flow->circuit;

	if (flow->state == VMC_FLOW_OPEN) {
		flow->state = VMC_FLOW_ENDING;
		flow->changed = jiffies;
		vmc_flow_unhash(flow);
	}
	if (!skb_queue_empty(&flow->pending) ||
	    (circuit->state != VMC_STATE_OPEN &&
	     circuit->state != VMC_STATE_RX_SHUT))
		return;
	vmc_circuit_step(circuit, VMC_EVENT_SHUT_TX);
	vmc_circuit_set_flags(circuit, VMC_CTL_FIN);
}

/**
 * vmc_flow_update - act on what the peer said of itself
 * @flow: locked, with a circuit; its ring was drained as far as possible
 */
void vmc_flow_update(struct vmc_flow *flow)
{
	struct vmc_circuit *circuit = flow->circuit;
	u32 flags, unread;

	if (flow->state == VMC_FLOW_OVER)
		return;
	flags = vmc_circuit_peer_flags(circuit);
	unread = vmc_circuit_readable(circuit);
	if (circuit->is_lying || (flags & VMC_CTL_RST)) {
		vmc_stat_inc(circuits_reset);
		vmc_flow_count_unread(flow);
		vmc_flow_finish(flow, circuit->is_lying);
		return;
	}
	if (READ_ONCE(vmc_datagram_of(flow->sk)->is_closed) &&
	    skb_queue_empty(&flow->pending)) {
		vmc_flow_finish(flow, false);
		return;
	}
	if ((flags & VMC_CTL_FIN) && (circuit->state == VMC_STATE_OPEN ||
				      circuit->state == VMC_STATE_TX_SHUT))
		vmc_circuit_step(circuit, VMC_EVENT_SHUT_RX);
	if (flags & VMC_CTL_GONE) {
		/* It reads no more, so its consumer index is final. */
		vmc_flow_count_unread(flow);
		vmc_flow_drop_pending(flow, 0);
	}
	if (circuit->state == VMC_STATE_RX_SHUT ||
	    flow->state == VMC_FLOW_ENDING)
		flow_say_fin(flow);
	if (circuit->state == VMC_STATE_BOTH_SHUT && !unread)
		vmc_flow_finish(flow, false);
}

/*
 * Locked: everything that there is to do for a flow. Whoever was told that
 * nothing came has asked for a bell.
 */
static void flow_signal(struct vmc_circuit *circuit)
{
	struct vmc_flow *flow = circuit->owner;

	spin_lock(&flow->lock);
	if (flow->circuit == circuit && flow->state != VMC_FLOW_OVER)
		vmc_datagram_look_at(flow);
	spin_unlock(&flow->lock);
}

/* Device's worker, as reap_work(). The link's memory may go, so now. */
static void flow_link_down(struct vmc_circuit *circuit)
{
	struct vmc_flow *flow = circuit->owner;
	bool is_ours;

	spin_lock_bh(&flow->lock);
	is_ours = flow->circuit == circuit;
	if (is_ours) {
		vmc_flow_count_unread(flow);
		vmc_flow_drop_pending(flow, EHOSTUNREACH);
		flow->circuit = NULL;
		if (flow->state != VMC_FLOW_OVER) {
			vmc_stat_inc(circuits_reset);
			flow_forget(flow);
		} else {
			is_ours = false;	/* the reaper has it */
		}
		vmc_circuit_release(circuit);
	}
	spin_unlock_bh(&flow->lock);
	if (is_ours)
		vmc_flow_put(flow);
}

/* The switch broke it; the next datagram dials anew. */
static void flow_reset(struct vmc_circuit *circuit, int error)
{
	struct vmc_flow *flow = circuit->owner;

	spin_lock_bh(&flow->lock);
	if (flow->circuit == circuit && flow->state != VMC_FLOW_OVER) {
		vmc_stat_inc(circuits_reset);
		vmc_flow_count_unread(flow);
		vmc_flow_finish(flow, true);
	}
	spin_unlock_bh(&flow->lock);
}

static void name_show(struct seq_file *seq, const struct vmc_name *name)
{
	if (name->family == VMC_FAMILY_INET6)
		seq_printf(seq, "[%pI6c]", name->address);
	else
		seq_printf(seq, "%pI4", name->address);
	seq_printf(seq, ":%u", le16_to_cpu(name->port));
}

static void flow_show_names(struct seq_file *seq,
			    const struct vmc_circuit *circuit)
{
	const struct vmc_flow *flow = circuit->owner;

	name_show(seq, &flow->names.local);
	seq_putc(seq, ' ');
	name_show(seq, &flow->names.remote);
}

const struct vmc_circuit_user vmc_flow_circuit_user = {
	.signal		= flow_signal,
	.link_down	= flow_link_down,
	.reset		= flow_reset,
	.show_names	= flow_show_names,
};

/*
 * The socket is closed. What it sent is still delivered: a flow that is being
 * dialled, or whose ring is full, stays until that is done.
 */
static void flow_close(struct vmc_flow *flow)
{
	spin_lock_bh(&flow->lock);
	if (flow->state == VMC_FLOW_OPEN || flow->state == VMC_FLOW_ENDING) {
		if (skb_queue_empty(&flow->pending)) {
			vmc_flow_finish(flow, false);
		} else {
			flow->state = VMC_FLOW_ENDING;
			flow->changed = jiffies;
			vmc_flow_unhash(flow);
		}
	}
	spin_unlock_bh(&flow->lock);
}

/**
 * vmc_flow_close_all - a socket is closed
 * @sk: gets no flows any more
 */
void vmc_flow_close_all(struct sock *sk)
{
	struct vmc_datagram *datagram = vmc_datagram_of(sk);
	struct vmc_flow *flow;
	LIST_HEAD(flows);

	spin_lock_bh(&table_lock);
	WRITE_ONCE(datagram->is_closed, true);
	list_splice_init(&datagram->flows, &flows);
	/* Meanwhile others may end by themselves, and leave either list. */
	while ((flow = list_first_entry_or_null(&flows, struct vmc_flow,
						of_socket))) {
		list_move(&flow->of_socket, &datagram->flows);
		refcount_inc(&flow->ref);
		spin_unlock_bh(&table_lock);
		flow_close(flow);
		vmc_flow_put(flow);
		spin_lock_bh(&table_lock);
	}
	spin_unlock_bh(&table_lock);
}

static bool has_had(unsigned long since, unsigned int ms)
{
	return time_after(jiffies, since + msecs_to_jiffies(ms));
}

/* Locked. Whether the flow has had its time, in whatever state it is. */
static void flow_sweep(struct vmc_flow *flow, unsigned int idle_ms)
{
	switch (flow->state) {
	case VMC_FLOW_DIALLING:
		if (has_had(flow->changed, DIAL_MS))
			vmc_flow_give_up(flow);
		break;
	case VMC_FLOW_OPEN:
		if (!has_had(flow->used, idle_ms) ||
		    vmc_circuit_readable(flow->circuit))
			break;
		flow_say_fin(flow);
		break;
	case VMC_FLOW_ENDING:
		/* What nobody reads here is still the program's to read. */
		if (has_had(flow->changed, ENDING_MS) &&
		    !vmc_circuit_readable(flow->circuit)) {
			vmc_flow_count_unread(flow);
			vmc_flow_finish(flow, false);
		}
		break;
	case VMC_FLOW_OVER:
		break;
	}
}

static void sweep_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(sweeper, sweep_work);

static void sweep_work(struct work_struct *work)
{
	struct vmc_flow *flow, *last;
	unsigned int idle_ms;

	spin_lock_bh(&table_lock);
	idle_ms = nr_flows > MAX_FLOWS / 2 ? IDLE_CROWDED_MS : IDLE_MS;
	last = list_empty(&all_flows) ? NULL :
	       list_last_entry(&all_flows, struct vmc_flow, of_all);
	if (last)
		refcount_inc(&last->ref);
	spin_unlock_bh(&table_lock);
	if (!last)
		return;
	/* Each goes to the end of the list when it was looked at. */
	do {
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
		spin_lock_bh(&flow->lock);
		flow_sweep(flow, idle_ms);
		spin_unlock_bh(&flow->lock);
		vmc_flow_put(flow);
		cond_resched();
	} while (flow != last && READ_ONCE(last->state) != VMC_FLOW_OVER);
	vmc_flow_put(last);
	queue_delayed_work(vmc_device_worker(), &sweeper,
			   msecs_to_jiffies(SWEEP_MS));
}

/**
 * vmc_flow_start_sweep - there are flows that will have had their time
 *
 * Any context.
 */
void vmc_flow_start_sweep(void)
{
	if (!delayed_work_pending(&sweeper))
		queue_delayed_work(vmc_device_worker(), &sweeper,
				   msecs_to_jiffies(SWEEP_MS));
}

/**
 * vmc_flow_exit - no socket is left
 */
void vmc_flow_exit(void)
{
	cancel_delayed_work_sync(&sweeper);
}
