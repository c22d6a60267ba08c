// SPDX-License-Identifier: GPL-2.0-only
/*
 * Flows: the circuits of datagram sockets. A flow begins with the first
 * datagram to a name (flow_dial.c), or with a peer's; both directions use it,
 * and it ends when nobody has for a while, or with its socket. This file has
 * what a bell does, and the way to the end; datagrams go in and out in
 * flow_send.c and flow_receive.c.
 *
 * The end of a flow that nobody uses must not cost a datagram that the peer is
 * just sending. So it begins with FIN; the peer sends what it has, answers
 * FIN, and both say CLOSE when they have taken everything. A socket that is
 * closed takes nothing any more, and says FIN and GONE at once.
 *
 * Locks: a flow's is taken by system calls, bells, the worker and its timer,
 * always with bottom halves off; copies are made with it, and never wait for a
 * page. Inside it: the table's, a socket's ready_lock, and those of
 * vmc_link.lock's level and below (sock.c). Outside it: that of who hears the
 * VM's own bells (link.c).
 */
#include <linux/seq_file.h>
#include <linux/sysctl.h>
#include <linux/workqueue.h>
#include "compat.h"
#include "datagram.h"
#include "device.h"
#include "flow.h"
#include "link.h"
#include "ready.h"
#include "stats.h"
#include "unreach.h"

/* How often flows are looked at, and when they have had their time. */
#define SWEEP_MS	1000
#define DIAL_MS		5000
#define ENDING_MS	3000

/* A network's translator of addresses keeps a mapping two minutes. */
#define UPLINK_TIMES	4

/* So much of their idle time they have while there are very many. */
#define CROWDED_PART	10

/* sysctl net.vmcircuit.idle_ms: when a flow that nobody uses ends. */
static unsigned int flow_idle_ms = 30000;
static struct ctl_table_header *sysctl_header;

static struct ctl_table flow_sysctls[] = {
	{
		.procname	= "idle_ms",
		.data		= &flow_idle_ms,
		.maxlen		= sizeof(flow_idle_ms),
		.mode		= 0644,
		.proc_handler	= proc_douintvec_minmax,
		.extra1		= SYSCTL_ONE,
		.extra2		= SYSCTL_INT_MAX,
	},
};

static LIST_HEAD(reaped_flows);
static DEFINE_SPINLOCK(reap_lock);

/* Locked. The table's reference is the caller's now. */
static void flow_forget(struct vmc_flow *flow)
{
	flow->state = VMC_FLOW_OVER;
	vmc_flow_remove(flow);
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
 * vmc_flow_finish - a flow is over
 * @flow: locked, not over
 * @abort: reset the peer
 *
 * The peer hears of it at once, so that what it sends next dials anew and is
 * refused; the switch from the worker. The uplink is the switch.
 */
void vmc_flow_finish(struct vmc_flow *flow, bool abort)
{
	vmc_flow_drop_pending(flow, 0);
	flow_forget(flow);
	if (flow->circuit && !flow->circuit->link->is_uplink)
		vmc_circuit_set_flags(flow->circuit,
				      VMC_CTL_FIN | VMC_CTL_GONE |
				      (abort ? VMC_CTL_RST : 0));
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

/* The uplink's errno: a datagram that went through the ring reached nobody. */
static void flow_hear_error(struct vmc_flow *flow)
{
	const struct vmc_ctl *peer = flow->circuit->peer;
	u32 raw_errors, raw_error;

	if (!flow->circuit->link->is_uplink)
		return;
	raw_errors = le32_to_cpu(smp_load_acquire(&peer->errors));
	if (raw_errors == flow->peer_errors)
		return;
	flow->peer_errors = raw_errors;
	raw_error = le32_to_cpu(READ_ONCE(peer->error));
	vmc_stat_inc(datagrams_unreachable);
	vmc_unreach_tell_names(&flow->names,
			       raw_error <= MAX_ERRNO ? raw_error :
							EHOSTUNREACH);
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
	flow_hear_error(flow);
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

/* A bell rang, or a message came: do whatever there is to do. */
static void flow_signal(struct vmc_circuit *circuit)
{
	struct vmc_flow *flow = circuit->owner;

	spin_lock(&flow->lock);
	if (flow->circuit == circuit && flow->state != VMC_FLOW_OVER)
		vmc_ready_look_at(flow);
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
	if (flow->state != VMC_FLOW_OPEN && flow->state != VMC_FLOW_ENDING)
		return;
	if (skb_queue_empty(&flow->pending)) {
		vmc_flow_finish(flow, false);
		return;
	}
	flow->state = VMC_FLOW_ENDING;
	flow->changed = jiffies;
	vmc_flow_unhash(flow);
}

/**
 * vmc_flow_close_all - a socket is closed
 * @sk: gets no flows any more
 */
void vmc_flow_close_all(struct sock *sk)
{
	vmc_flow_shut(sk, flow_close);
}

static void flow_settle(struct vmc_flow *flow)
{
	if (flow->state == VMC_FLOW_OPEN || flow->state == VMC_FLOW_ENDING)
		vmc_ready_look_at(flow);
}

/**
 * vmc_flow_settle - before a socket's names change
 * @sk: a datagram socket
 *
 * UDP asks when a datagram comes whether the socket wants it, so what has come
 * is in its queue now.
 */
void vmc_flow_settle(struct sock *sk)
{
	vmc_flow_each(sk, flow_settle);
}

static void flow_end_unwanted(struct vmc_flow *flow)
{
	if (flow->state == VMC_FLOW_OPEN && !vmc_flow_is_wanted(flow))
		flow_say_fin(flow);
}

/**
 * vmc_flow_end_unwanted - a socket's names have changed
 * @sk: a datagram socket
 *
 * What others send by flows that it does not want any more is somebody else's,
 * or nobody's: they dial anew, and learn of it.
 */
void vmc_flow_end_unwanted(struct sock *sk)
{
	vmc_flow_each(sk, flow_end_unwanted);
}

static bool has_had(unsigned long since, unsigned int ms)
{
	return time_after(jiffies, since + msecs_to_jiffies(ms));
}

/* Locked. Whether the flow has had its time, in whatever state it is. */
static void flow_sweep(struct vmc_flow *flow)
{
	unsigned int idle_ms = READ_ONCE(flow_idle_ms);

	/* Who answers from outside cannot dial, but by a rule. */
	if (flow->circuit && flow->circuit->link->is_uplink &&
	    idle_ms <= UINT_MAX / UPLINK_TIMES)
		idle_ms *= UPLINK_TIMES;
	if (vmc_flow_is_crowded())
		idle_ms /= CROWDED_PART;
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
	if (vmc_flow_visit(flow_sweep))
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
 * vmc_flow_init - offer the sysctl
 *
 * Return: 0 or -ENOMEM.
 */
int vmc_flow_init(void)
{
	sysctl_header = register_net_sysctl_sz(&init_net, "net/vmcircuit",
					       flow_sysctls,
					       ARRAY_SIZE(flow_sysctls));
	return sysctl_header ? 0 : -ENOMEM;
}

/**
 * vmc_flow_exit - no socket is left
 */
void vmc_flow_exit(void)
{
	unregister_net_sysctl_table(sysctl_header);
	cancel_delayed_work_sync(&sweeper);
}
