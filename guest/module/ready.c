// SPDX-License-Identifier: GPL-2.0-only
/*
 * The flows of a datagram socket that are ready. Rings are looked at, or ring:
 * a flow that brings datagrams is on its socket's ready list and rings no bell,
 * and whoever finds the receive queue empty looks at those flows. One that is
 * found empty asks for a bell and leaves the list. If nobody looks the timer
 * does, so a datagram is in the queue, and who sleeps is woken, within two
 * ticks of the clock; many flows take turns.
 */
#include <linux/udp.h>
#include <net/sock.h>
#include "compat.h"
#include "datagram.h"
#include "flow.h"
#include "ready.h"
#include "spin.h"

/* Flows that a socket's timer looks at each time it runs. */
#define TIMER_FLOWS	128U
/* And those that who waits for any of them looks at. */
#define SPIN_FLOWS	8U

/* The flow is looked at from now on, and rings no bell. */
static void ready_add(struct vmc_datagram *datagram, struct vmc_flow *flow)
{
	spin_lock_bh(&datagram->ready_lock);
	if (list_empty(&flow->ready))
		list_add_tail(&flow->ready, &datagram->ready);
	spin_unlock_bh(&datagram->ready_lock);
	/* A timer that runs is early enough. */
	if (!timer_pending(&datagram->look))
		mod_timer(&datagram->look, jiffies + 1);
}

static void ready_remove(struct vmc_datagram *datagram, struct vmc_flow *flow)
{
	spin_lock_bh(&datagram->ready_lock);
	list_del_init(&flow->ready);
	spin_unlock_bh(&datagram->ready_lock);
}

/**
 * vmc_ready_look_at - do for a flow whatever there is to do
 * @flow: locked, open
 *
 * Return: whether something came from its ring.
 */
bool vmc_ready_look_at(struct vmc_flow *flow)
{
	struct vmc_datagram *datagram = vmc_datagram_of(flow->sk);
	bool is_stuck, is_asked = false;
	unsigned int nr;

	for (;;) {
		nr = vmc_flow_drain(flow, &is_stuck);
		vmc_flow_flush(flow);
		vmc_flow_update(flow);
		if (flow->state == VMC_FLOW_OVER)
			return nr;
		if (nr || is_stuck) {
			ready_add(datagram, flow);
			return nr;
		}
		if (is_asked)
			break;
		/* Look once more after the wait is announced. */
		vmc_circuit_await_data(flow->circuit);
		is_asked = true;
	}
	ready_remove(datagram, flow);
	return false;
}

/*
 * Calls @look for the socket's flows that ring no bell, until it says true. It
 * puts those back that shall be looked at again.
 */
static bool socket_look(struct sock *sk,
			  bool (*look)(struct vmc_flow *flow, void *argument),
			  void *argument)
{
	struct vmc_datagram *datagram = vmc_datagram_of(sk);
	struct vmc_flow *flow;
	bool is_done = false;
	LIST_HEAD(flows);

	if (list_empty_careful(&datagram->ready))
		return false;
	rcu_read_lock();
	spin_lock_bh(&datagram->ready_lock);
	list_splice_init(&datagram->ready, &flows);
	while (!is_done && (flow = list_first_entry_or_null(&flows,
						struct vmc_flow, ready))) {
		list_del_init(&flow->ready);
		spin_unlock_bh(&datagram->ready_lock);
		spin_lock_bh(&flow->lock);
		if (flow->state == VMC_FLOW_OPEN ||
		    flow->state == VMC_FLOW_ENDING)
			is_done = look(flow, argument);
		spin_unlock_bh(&flow->lock);
		spin_lock_bh(&datagram->ready_lock);
	}
	list_splice(&flows, &datagram->ready);
	spin_unlock_bh(&datagram->ready_lock);
	rcu_read_unlock();
	return is_done;
}

static bool look_until_one(struct vmc_flow *flow, void *unused)
{
	return vmc_ready_look_at(flow);
}

/* @argument: how many more may be looked at. */
static bool look_at_some(struct vmc_flow *flow, void *argument)
{
	unsigned int *nr_left = argument;

	vmc_ready_look_at(flow);
	return !--*nr_left;
}

/* Of UDP's queue; that nothing lies in rings is not said. */
static bool is_queue_empty(const struct sock *sk)
{
	return skb_queue_empty_lockless(&sk->sk_receive_queue) &&
	       skb_queue_empty_lockless(&udp_sk(sk)->reader_queue);
}

/* Not the flow's lock: a hint. A circuit's rings stay until a grace period. */
static bool is_any_readable(struct vmc_datagram *datagram)
{
	const struct vmc_circuit *circuit;
	unsigned int nr_left = SPIN_FLOWS;
	struct vmc_flow *flow;
	bool ret = false;

	rcu_read_lock();
	spin_lock_bh(&datagram->ready_lock);
	list_for_each_entry(flow, &datagram->ready, ready) {
		circuit = READ_ONCE(flow->circuit);
		ret = circuit && vmc_circuit_readable_hint(circuit);
		if (ret || !--nr_left)
			break;
	}
	spin_unlock_bh(&datagram->ready_lock);
	rcu_read_unlock();
	return ret;
}

static bool has_come(struct sock *sk, u32 unused)
{
	return !is_queue_empty(sk) || READ_ONCE(sk->sk_err) ||
	       READ_ONCE(sk->sk_shutdown) ||
	       is_any_readable(vmc_datagram_of(sk));
}

/**
 * vmc_ready_wait - spin until something has come, if that is worth it
 * @sk: a datagram socket with flows
 */
void vmc_ready_wait(struct sock *sk)
{
	if (!has_come(sk, 0) && vmc_spin_may())
		vmc_spin(sk, has_come, 0);
}

/**
 * vmc_ready_refresh - before UDP is asked what has come
 * @sk: a datagram socket
 *
 * If nothing is in its queue, something is now, unless nothing has come.
 */
void vmc_ready_refresh(struct sock *sk)
{
	WRITE_ONCE(vmc_datagram_of(sk)->has_looked, true);
	if (is_queue_empty(sk))
		socket_look(sk, look_until_one, NULL);
}

static void look_timer(struct timer_list *timer)
{
	struct vmc_datagram *datagram = from_timer(datagram, timer, look);
	unsigned int nr_left = TIMER_FLOWS;
	struct sock *sk;

	sk = datagram->is_inet6 ?
	     (struct sock *)container_of(datagram, struct vmc_datagram6_sock,
					 datagram) :
	     (struct sock *)container_of(datagram, struct vmc_datagram_sock,
					 datagram);
	/* Not while somebody else does, nor while there is no room. */
	if (!READ_ONCE(datagram->has_looked) &&
	    atomic_read(&sk->sk_rmem_alloc) <= READ_ONCE(sk->sk_rcvbuf))
		socket_look(sk, look_at_some, &nr_left);
	WRITE_ONCE(datagram->has_looked, false);
	if (!list_empty_careful(&datagram->ready))
		mod_timer(&datagram->look, jiffies + 1);
}

/* What a look is for: a datagram, into the program's memory. */
struct taking {
	struct msghdr *msg;
	size_t room_bytes;
	int bytes;
};

static bool look_and_take(struct vmc_flow *flow, void *argument)
{
	struct taking *taking = argument;

	taking->bytes = vmc_flow_take(flow, taking->msg, taking->room_bytes);
	if (taking->bytes < 0)
		return vmc_ready_look_at(flow);
	ready_add(vmc_datagram_of(flow->sk), flow);
	return true;
}

/**
 * vmc_ready_take - the next datagram, straight from its ring
 * @sk: a datagram socket
 * @msg: where to
 * @room_bytes: there
 *
 * Return: its true length; or an error when UDP shall do it. If there is a
 * datagram it is in UDP's queue then.
 */
int vmc_ready_take(struct sock *sk, struct msghdr *msg, size_t room_bytes)
{
	struct taking taking = {
		.msg = msg,
		.room_bytes = room_bytes,
		.bytes = -EAGAIN,
	};

	WRITE_ONCE(vmc_datagram_of(sk)->has_looked, true);
	if (is_queue_empty(sk))
		socket_look(sk, look_and_take, &taking);
	return taking.bytes;
}

/**
 * vmc_ready_init - no flow is ready
 * @sk: a new datagram socket
 */
void vmc_ready_init(struct sock *sk)
{
	struct vmc_datagram *datagram = vmc_datagram_of(sk);

	spin_lock_init(&datagram->ready_lock);
	INIT_LIST_HEAD(&datagram->ready);
	datagram->is_inet6 = sk->sk_family == AF_INET6;
	timer_setup(&datagram->look, look_timer, 0);
}

/**
 * vmc_ready_exit - nobody looks any more
 * @sk: a datagram socket whose flows are closed
 *
 * May sleep.
 */
void vmc_ready_exit(struct sock *sk)
{
	timer_shutdown_sync(&vmc_datagram_of(sk)->look);
}
