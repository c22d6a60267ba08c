// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listeners: listen(), registering with the switch, accept().
 *
 * A listener listens twice, here and in its shadow; accept() takes from both.
 * As with TCP a connection is complete before accept() takes it, up to the
 * backlog; OFFERs beyond wait unanswered, as SYNs would, and the dialler waits
 * with them (offer.c).
 */
#include <linux/slab.h>
#include <linux/xarray.h>
#include <net/ipv6.h>
#include <net/tcp_states.h>
#include "attach.h"
#include "listen.h"
#include "offer.h"
#include "request.h"
#include "route.h"
#include "shadow.h"
#include "stats.h"

static DEFINE_XARRAY_FLAGS(listeners, XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_BH);
static u32 next_listener;

/* Tell the switch, once for each time it attached. */
static int listener_register(struct vmc_listener *listener, gfp_t gfp)
{
	struct sock *sk = listener->sk, *tcp = vmc_sk(sk)->shadow->sk;
	struct vmc_listen request = {
		.listener = cpu_to_le32(listener->id),
		.v6only = ipv6_only_sock(tcp),
		.tx_bytes = cpu_to_le32(vmc_sock_wished_tx(sk)),
		.rx_bytes = cpu_to_le32(vmc_sock_wished_rx(sk)),
	};
	u32 generation = vmc_attach_generation();
	bool is_due;
	int err;

	if (!generation || !vmc_route_may_listen(sk))
		return -ENODEV;
	spin_lock_bh(&listener->lock);
	is_due = !listener->is_stopped && listener->registered != generation;
	listener->registered = generation;
	request.room = cpu_to_le16(min(vmc_offer_room(listener), U16_MAX));
	spin_unlock_bh(&listener->lock);
	if (!is_due)
		return 0;
	vmc_route_local_name(tcp, &request.local);
	err = vmc_request_send(generation, VMC_MSG_LISTEN, &request, gfp);
	if (err)
		WRITE_ONCE(listener->registered, 0);
	return err;
}

/**
 * vmc_listen_register_all - a switch attached: tell it who listens
 *
 * Device's worker.
 */
void vmc_listen_register_all(void)
{
	struct vmc_listener *listener;
	unsigned long id;

	xa_lock_bh(&listeners);
	xa_for_each(&listeners, id, listener)
		if (listener_register(listener, GFP_ATOMIC) == -ENOMEM)
			pr_warn_ratelimited("vmcircuit: no memory to register a listener; it accepts TCP only\n");
	xa_unlock_bh(&listeners);
}

/**
 * vmc_listen_answered - LISTENING came
 * @id: unchecked
 * @error: positive errno or 0; an error leaves the listener with TCP only
 *
 * Device's worker.
 */
void vmc_listen_answered(u32 id, int error)
{
	struct vmc_listener *listener;

	xa_lock_bh(&listeners);
	listener = xa_load(&listeners, id);
	if (listener)
		complete_all(&listener->answered);
	xa_unlock_bh(&listeners);
	if (listener && error)
		pr_warn_ratelimited("vmcircuit: the switch refuses a listener: error %d; it accepts TCP only\n",
				    error);
}

/* The socket's listener, put into the table. Socket owned. */
static struct vmc_listener *listener_start(struct sock *sk)
{
	struct vmc_listener *listener = vmc_sk(sk)->listener;

	if (!listener) {
		listener = kzalloc(sizeof(*listener), GFP_KERNEL);
		if (!listener)
			return NULL;
		vmc_offer_init(listener, sk);
		WRITE_ONCE(vmc_sk(sk)->listener, listener);
	}
	reinit_completion(&listener->answered);
	spin_lock_bh(&listener->lock);
	listener->is_stopped = false;
	listener->registered = 0;
	spin_unlock_bh(&listener->lock);
	if (xa_alloc_cyclic_bh(&listeners, &listener->id, listener,
			       xa_limit_31b, &next_listener, GFP_KERNEL) < 0) {
		listener->is_stopped = true;
		return NULL;
	}
	sock_hold(sk);
	return listener;
}

/**
 * vmc_listen - the listen() system call
 * @sock: ours
 * @backlog: unchecked
 *
 * Returns when the switch knows of the listener, so that a connect that
 * follows anywhere finds it.
 *
 * Return: as listen(2).
 */
int vmc_listen(struct socket *sock, int backlog)
{
	struct sock *sk = sock->sk;
	struct vmc_listener *listener = NULL;
	struct socket *shadow;
	bool is_answered = true;
	int err;

	shadow = vmc_shadow_get(sk);
	if (!shadow)
		return -ENOMEM;
	lock_sock(sk);
	err = -EINVAL;
	if (sock->state != SS_UNCONNECTED || vmc_sock_circuit(sk) ||
	    (sk->sk_state != TCP_CLOSE && sk->sk_state != TCP_LISTEN))
		goto unlock;
	err = READ_ONCE(shadow->ops)->listen(shadow, backlog);
	if (err)
		goto unlock;
	/* Perhaps left over from a connect that failed. */
	WRITE_ONCE(vmc_sk(sk)->is_fallback, false);
	WRITE_ONCE(sk->sk_max_ack_backlog,
		   READ_ONCE(shadow->sk->sk_max_ack_backlog));
	if (sk->sk_state == TCP_CLOSE) {
		listener = listener_start(sk);
		/* Without memory for it the listener has TCP only. */
		if (listener)
			is_answered = listener_register(listener, GFP_KERNEL);
		inet_sk_set_state(sk, TCP_LISTEN);
	}
unlock:
	release_sock(sk);
	if (!is_answered)
		wait_for_completion_killable_timeout(&listener->answered,
			msecs_to_jiffies(VMC_LISTEN_TIMEOUT_MS));
	return err;
}

/* The listener, with a reference to its socket, or NULL. */
static struct vmc_listener *listener_get(u32 id)
{
	struct vmc_listener *listener;

	xa_lock_bh(&listeners);
	listener = xa_load(&listeners, id);
	if (listener)
		sock_hold(listener->sk);
	xa_unlock_bh(&listeners);
	return listener;
}

/**
 * vmc_listen_offered - OFFER came
 * @offer: unchecked
 *
 * Device's worker.
 */
void vmc_listen_offered(const struct vmc_offer *offer)
{
	struct vmc_listener *listener =
		listener_get(le32_to_cpu(offer->listener));

	if (!listener) {
		vmc_offer_refuse(&offer->id, ECONNREFUSED);
		return;
	}
	vmc_offer_arrived(listener, offer);
	sock_put(listener->sk);
}

/**
 * vmc_listen_offered_early - OFFER came, and the worker has nothing to do
 * @offer: unchecked
 *
 * Bottom halves.
 *
 * Return: as vmc_offer_arrived_early().
 */
bool vmc_listen_offered_early(const struct vmc_offer *offer)
{
	struct vmc_listener *listener =
		listener_get(le32_to_cpu(offer->listener));
	bool is_taken;

	if (!listener)
		return false;
	is_taken = vmc_offer_arrived_early(listener, offer);
	sock_put(listener->sk);
	return is_taken;
}

/**
 * vmc_listen_switch_gone - no answer and no withdrawal will come any more
 *
 * Device's worker.
 */
void vmc_listen_switch_gone(void)
{
	struct vmc_listener *listener;
	unsigned long id;

	vmc_offer_forget_all();
	xa_lock_bh(&listeners);
	xa_for_each(&listeners, id, listener)
		complete_all(&listener->answered);
	xa_unlock_bh(&listeners);
}

/**
 * vmc_listen_stop - listen no more
 * @sk: owned, listening; may sleep
 *
 * Children that nobody accepted are reset, offers refused, as TCP does. The
 * shadow is the caller's business.
 */
void vmc_listen_stop(struct sock *sk)
{
	struct vmc_listener *listener = vmc_sk(sk)->listener;
	struct vmc_unlisten request = { };
	struct vmc_sock *child, *next;
	LIST_HEAD(ready);

	if (!listener || listener->is_stopped)
		return;
	spin_lock_bh(&listener->lock);
	listener->is_stopped = true;
	list_splice_init(&listener->ready, &ready);
	spin_unlock_bh(&listener->lock);
	xa_erase_bh(&listeners, listener->id);
	complete_all(&listener->answered);
	if (listener->registered &&
	    listener->registered == vmc_attach_generation()) {
		request.listener = cpu_to_le32(listener->id);
		vmc_request_send(listener->registered, VMC_MSG_UNLISTEN,
				&request, GFP_KERNEL);
	}
	vmc_offer_wake(listener);

	list_for_each_entry_safe(child, next, &ready, accept_node) {
		list_del_init(&child->accept_node);
		vmc_sock_abandon((struct sock *)child);
		spin_lock_bh(&listener->lock);
		listener->nr_ready--;
		spin_unlock_bh(&listener->lock);
	}
	__sock_put(sk);
}

/**
 * vmc_listen_has_child - whether accept() would find a circuit
 * @sk: listening
 */
bool vmc_listen_has_child(const struct sock *sk)
{
	const struct vmc_listener *listener = READ_ONCE(vmc_sk(sk)->listener);

	return listener && !list_empty_careful(&listener->ready);
}

static struct sock *listener_pop(struct vmc_listener *listener)
{
	struct vmc_sock *child;

	spin_lock_bh(&listener->lock);
	child = list_first_entry_or_null(&listener->ready, struct vmc_sock,
					 accept_node);
	if (child) {
		list_del_init(&child->accept_node);
		listener->nr_ready--;
	}
	spin_unlock_bh(&listener->lock);
	return (struct sock *)child;
}

/* True: newsock has a connection, of either kind. */
static bool accept_one(struct sock *sk, struct socket *newsock,
		       struct proto_accept_arg *arg, int *ret_err)
{
	struct vmc_listener *listener = vmc_sk(sk)->listener;
	struct socket *shadow = vmc_sk(sk)->shadow;
	struct proto_accept_arg tcp_arg = {
		.flags = arg->flags | O_NONBLOCK,
		.kern = arg->kern,
	};
	struct sock *child;
	int err;

	*ret_err = -EINVAL;
	if (sk->sk_state != TCP_LISTEN)
		return true;
	/* Kernel users give the new socket our operations, whatever it is. */
	*ret_err = -EOPNOTSUPP;
	if (arg->kern)
		return true;
	*ret_err = 0;
	child = listener ? listener_pop(listener) : NULL;
	if (child) {
		vmc_offer_wake(listener);
		arg->is_empty = list_empty_careful(&listener->ready);
		sock_graft(child, newsock);
		set_bit(SOCK_CUSTOM_SOCKOPT, &newsock->flags);
		newsock->state = SS_CONNECTED;
		return true;
	}
	err = READ_ONCE(shadow->ops)->accept(shadow, newsock, &tcp_arg);
	if (err == -EAGAIN)
		return false;
	arg->is_empty = tcp_arg.is_empty;
	*ret_err = err;
	if (!err) {
		/* Plain TCP from here on, so it is not ours to hold. */
		vmc_shadow_disown(newsock->sk);
		__module_get(READ_ONCE(shadow->ops)->owner);
		WRITE_ONCE(newsock->ops, READ_ONCE(shadow->ops));
		module_put(THIS_MODULE);
		vmc_stat_inc(accepted_tcp);
	}
	return true;
}

/**
 * vmc_listen_accept - the accept() system call
 * @sock: ours
 * @newsock: gets a circuit, or plain TCP whose operations are TCP's own
 * @arg: flags: O_NONBLOCK; is_empty: nothing more waits
 *
 * Return: as accept(2).
 */
int vmc_listen_accept(struct socket *sock, struct socket *newsock,
		      struct proto_accept_arg *arg)
{
	struct sock *sk = sock->sk;
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	bool is_done, is_waiting = false;
	long timeo;
	int err;

	lock_sock(sk);
	timeo = sock_rcvtimeo(sk, arg->flags & O_NONBLOCK);
	for (;;) {
		is_done = accept_one(sk, newsock, arg, &err);
		if (is_done)
			break;
		err = -EAGAIN;
		if (!timeo)
			break;
		err = sock_intr_errno(timeo);
		if (signal_pending(current))
			break;
		if (!is_waiting) {
			/* Look once more after the wait is announced. */
			add_wait_queue_exclusive(sk_sleep(sk), &wait);
			is_waiting = true;
			continue;
		}
		release_sock(sk);
		timeo = wait_woken(&wait, TASK_INTERRUPTIBLE, timeo);
		lock_sock(sk);
	}
	if (is_waiting)
		remove_wait_queue(sk_sleep(sk), &wait);
	release_sock(sk);
	return err;
}
