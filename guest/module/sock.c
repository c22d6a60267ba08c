// SPDX-License-Identifier: GPL-2.0-only
/*
 * A socket and its circuit: taking one, hearing of it, losing it. System calls
 * are elsewhere (connect.c, listen.c, stream.c, sockopt.c); this file is what
 * they and the doorbell have in common.
 *
 * Lock order, outermost first:
 *
 *   1. lock_sock(listening or connecting socket)
 *   2. lock_sock(its shadow)
 *   3. the lock of who hears the VM's own bells (link.c)
 *   4. the socket's spinlock (bh_lock_sock), taken by doorbell and worker
 *   5. vmc_listener.lock
 *   6. vmc_link.lock
 *   7. the locks of the three queues
 *
 * A listener's lock may be followed by that of a child that nobody accepted;
 * no other two sockets are locked at once. The table of listeners is locked
 * outside 5, that of connects inside 4.
 *
 * Doorbells and messages from the switch find the socket perhaps owned by a
 * system call. They then leave a note in vmc_sock.deferred, and release_sock()
 * does what it says: nobody ever waits for a system call.
 *
 * Teardown. Who may still hold a socket when close() runs, and why each ends:
 *   a. doorbells: under RCU, the socket is freed by RCU, and they check under
 *      the spinlock that the circuit is still the socket's
 *   b. the worker with an answer to CONNECT: holds a reference
 *   c. the worker with an OFFER: holds a reference to the listener
 *   d. the connect timer and that of what is held back: hold a reference,
 *	close() stops them
 *   e. poll() and system calls: hold the file, so close() has not run
 */
#define pr_fmt(fmt) "vmcircuit: " fmt
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <net/inet_common.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/tcp_states.h>
#include "circuit.h"
#include "compat.h"
#include "device.h"
#include "held.h"
#include "link.h"
#include "mapping.h"
#include "sock.h"
#include "stats.h"
#include "uplink.h"
#include "urgent.h"

/* Called from doorbells when there is room again. */
static void sock_write_space(struct sock *sk)
{
	struct socket_wq *wq;

	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	if (skwq_has_sleeper(wq))
		wake_up_interruptible_poll(&wq->wait, EPOLLOUT | EPOLLWRNORM |
					   EPOLLWRBAND);
	if (wq && wq->fasync_list && !(sk->sk_shutdown & SEND_SHUTDOWN))
		sock_wake_async(wq, SOCK_WAKE_SPACE, POLL_OUT);
	rcu_read_unlock();
}

/* After the last reference, and a grace period. */
static void sock_destruct(struct sock *sk)
{
	kfree(vmc_sk(sk)->listener);
	if (sk->sk_family == AF_INET6)
		inet6_sock_destruct(sk);
	else
		inet_sock_destruct(sk);
}

/**
 * vmc_sock_init - set up our part of a new or cloned socket
 * @sk: not yet visible to anyone
 */
void vmc_sock_init(struct sock *sk)
{
	struct vmc_sock *vs = vmc_sk(sk);

	vs->shadow = NULL;
	RCU_INIT_POINTER(vs->circuit, NULL);
	vs->listener = NULL;
	vs->mapping = NULL;
	vs->is_fallback = false;
	vs->has_mirrored_error = false;
	vs->wants_space = false;
	vs->wants_end = false;
	vs->is_deaf = false;
	vs->cookie = 0;
	vs->deferred = 0;
	vmc_urgent_reset(sk);
	INIT_LIST_HEAD(&vs->accept_node);
	timer_setup(&sk->sk_timer, NULL, 0);
	vmc_held_init(sk);
	sk->sk_write_space = sock_write_space;
	sk->sk_destruct = sock_destruct;
	/* Doorbells look at sockets under RCU. */
	sock_set_flag(sk, SOCK_RCU_FREE);
}

static void name_to_inet6(const struct vmc_name *name, struct in6_addr *addr)
{
	if (name->family == VMC_FAMILY_INET) {
		__be32 v4;

		memcpy(&v4, name->address, sizeof(v4));
		ipv6_addr_set_v4mapped(v4, addr);
	} else {
		memcpy(addr, name->address, sizeof(*addr));
	}
}

/**
 * vmc_sock_set_names - what getsockname() and getpeername() shall say
 * @sk: locked
 * @names: of a circuit
 */
void vmc_sock_set_names(struct sock *sk, const struct vmc_names *names)
{
	struct inet_sock *inet = inet_sk(sk);

	inet->inet_num = le16_to_cpu(names->local.port);
	inet->inet_sport = htons(inet->inet_num);
	inet->inet_dport = htons(le16_to_cpu(names->remote.port));
	if (names->local.family == VMC_FAMILY_INET) {
		memcpy(&inet->inet_saddr, names->local.address, 4);
		memcpy(&inet->inet_daddr, names->remote.address, 4);
		inet->inet_rcv_saddr = inet->inet_saddr;
	}
	if (sk->sk_family == AF_INET6) {
		name_to_inet6(&names->local, &sk->sk_v6_rcv_saddr);
		name_to_inet6(&names->remote, &sk->sk_v6_daddr);
		inet6_sk(sk)->saddr = sk->sk_v6_rcv_saddr;
	}
}

/**
 * vmc_sock_clear_names - the socket has no connection any more
 * @sk: locked
 *
 * As TCP's, getsockname() goes on to tell the port, which is not held any more,
 * and an address that bind() chose.
 */
void vmc_sock_clear_names(struct sock *sk)
{
	struct inet_sock *inet = inet_sk(sk);

	inet->inet_num = 0;
	inet->inet_dport = 0;
	inet->inet_daddr = 0;
	if (sk->sk_family == AF_INET6)
		sk->sk_v6_daddr = in6addr_any;
	if (!(sk->sk_userlocks & SOCK_BINDADDR_LOCK))
		inet_reset_saddr(sk);
}

static void sock_signal(struct vmc_circuit *circuit);

/*
 * What the peer's flags tell a sleeper. Unknown bits tell nothing, or a hostile
 * peer could keep us busy.
 */
static u32 news_of(const struct vmc_circuit *circuit)
{
	return vmc_circuit_peer_flags(circuit) &
	       (VMC_CTL_FIN | VMC_CTL_RST | VMC_CTL_GONE);
}

/*
 * For SIGIO, which nobody polls for. Not at once, for who reads without delay
 * needs no bell.
 */
static void sock_ask(struct timer_list *timer)
{
	struct sock *sk = from_timer(sk, timer, sk_timer);
	struct vmc_circuit *circuit;

	rcu_read_lock();
	circuit = rcu_dereference(vmc_sk(sk)->circuit);
	if (circuit && !READ_ONCE(circuit->is_mapped)) {
		vmc_circuit_await_data(circuit);
		if (vmc_circuit_readable_hint(circuit) || news_of(circuit))
			sock_signal(circuit);
	}
	rcu_read_unlock();
	sock_put(sk);
}

/**
 * vmc_sock_set_timer - as sk_reset_timer(), for timers that are soon due
 * @sk: gives up a reference when it runs
 * @timer: one of its timers
 * @expires: when, jiffies
 *
 * sk_reset_timer() takes the reference afterwards; a timer that ran meanwhile,
 * for the processor was not ours, would have given up somebody else's.
 */
void vmc_sock_set_timer(struct sock *sk, struct timer_list *timer,
			unsigned long expires)
{
	sock_hold(sk);
	if (mod_timer(timer, expires))
		__sock_put(sk);
}

/**
 * vmc_sock_establish - the socket is connected by its circuit from now on
 * @sk: owned, or its spinlock held; has names and a circuit
 */
void vmc_sock_establish(struct sock *sk)
{
	vmc_urgent_reset(sk);
	inet_sk_set_state(sk, TCP_ESTABLISHED);
	sk->sk_timer.function = sock_ask;
	vmc_sock_set_timer(sk, &sk->sk_timer, jiffies + 1);
	vmc_uplink_publish(sk);
	/* The peer may have rung before anyone could hear it. */
	vmc_sock_update(sk);
}

/* The peer's FIN, once: no more data after what is in the ring. */
static void sock_fin(struct sock *sk, struct vmc_circuit *circuit)
{
	if ((circuit->state != VMC_STATE_OPEN &&
	     circuit->state != VMC_STATE_TX_SHUT) ||
	    !vmc_circuit_step(circuit, VMC_EVENT_SHUT_RX))
		return;
	WRITE_ONCE(sk->sk_shutdown, sk->sk_shutdown | RCV_SHUTDOWN);
	sock_set_flag(sk, SOCK_DONE);
	inet_sk_set_state(sk, sk->sk_state == TCP_ESTABLISHED ?
			  TCP_CLOSE_WAIT : TCP_CLOSE);
	sk->sk_state_change(sk);
	sk_wake_async(sk, SOCK_WAKE_WAITD,
		      sk->sk_shutdown == SHUTDOWN_MASK ? POLL_HUP : POLL_IN);
}

/* What TCP tells who is reset in this state. */
static int reset_error(const struct sock *sk)
{
	return sk->sk_state == TCP_CLOSE_WAIT ? EPIPE : ECONNRESET;
}

/**
 * vmc_sock_update - act on what the peer said of itself
 * @sk: owned, or its spinlock held
 */
void vmc_sock_update(struct sock *sk)
{
	struct vmc_circuit *circuit = vmc_sock_circuit(sk);
	u32 flags, fill;

	if (!circuit || circuit->state == VMC_STATE_BROKEN ||
	    sk->sk_state == TCP_SYN_SENT)
		return;
	flags = vmc_circuit_peer_flags(circuit);
	fill = vmc_circuit_readable(circuit);
	if (circuit->is_lying) {
		vmc_circuit_set_flags(circuit, VMC_CTL_RST | VMC_CTL_GONE);
		vmc_sock_break(sk, ECONNRESET);
		return;
	}
	vmc_urgent_notice(sk, circuit);
	if (flags & VMC_CTL_RST) {
		/* Said before it, and perhaps not heard; GONE brings one, too. */
		if ((flags & VMC_CTL_FIN) && !(flags & VMC_CTL_GONE))
			sock_fin(sk, circuit);
		vmc_sock_break(sk, reset_error(sk));
		return;
	}
	if (sk->sk_state == TCP_FIN_WAIT2 && vmc_sk(sk)->is_deaf &&
	    !circuit->is_mapped &&
	    circuit->cons + fill != vmc_sk(sk)->deaf_from) {
		vmc_circuit_cut(circuit, vmc_sk(sk)->deaf_from);
		vmc_circuit_set_flags(circuit, VMC_CTL_RST);
		vmc_sock_break(sk, ECONNRESET);
		return;
	}
	if (flags & VMC_CTL_FIN)
		sock_fin(sk, circuit);
	/* Gone without reading what we sent: TCP would answer with a reset. */
	if ((flags & VMC_CTL_GONE) && sk->sk_state != TCP_CLOSE &&
	    vmc_circuit_writable(circuit) < circuit->tx_bytes)
		vmc_sock_break(sk, reset_error(sk));
}

/**
 * vmc_sock_break - the circuit is of no more use
 * @sk: owned, or its spinlock held; has a circuit
 * @error: positive errno for the next system call
 */
void vmc_sock_break(struct sock *sk, int error)
{
	struct vmc_circuit *circuit = vmc_sock_circuit(sk);

	if (!circuit || circuit->state == VMC_STATE_BROKEN ||
	    !vmc_circuit_step(circuit, VMC_EVENT_BREAK))
		return;
	vmc_stat_inc(circuits_reset);
	/* Both directions had ended: nobody is left who could care. */
	if (sk->sk_state != TCP_CLOSE || sk->sk_shutdown != SHUTDOWN_MASK)
		WRITE_ONCE(sk->sk_err, error);
	WRITE_ONCE(sk->sk_shutdown, SHUTDOWN_MASK);
	inet_sk_set_state(sk, TCP_CLOSE);
	sk->sk_state_change(sk);
	sk_error_report(sk);
}

/**
 * vmc_sock_let_go - end the socket's part of its circuit
 * @sk: owned; may sleep
 * @abort: reset the peer instead of ending in order
 */
void vmc_sock_let_go(struct sock *sk, bool abort)
{
	struct vmc_circuit *circuit = vmc_sock_circuit(sk);

	if (!circuit)
		return;
	/*
	 * poll() may run beside a disconnect and store one more wait counter
	 * in the control page, which then is somebody else's. All that does is
	 * to have a bell rung for nothing, so no grace period is due here.
	 */
	sk_stop_timer(sk, &sk->sk_timer);
	vmc_held_stop(sk);
	if (!abort)
		vmc_held_push(sk);
	RCU_INIT_POINTER(vmc_sk(sk)->circuit, NULL);
	vmc_circuit_close(circuit, abort);
}

/**
 * vmc_sock_abandon - end a circuit that nobody accepted
 * @sk: never had a struct socket; the caller's reference is given up
 *
 * May sleep.
 */
void vmc_sock_abandon(struct sock *sk)
{
	lock_sock_nested(sk, SINGLE_DEPTH_NESTING);
	vmc_sock_let_go(sk, true);
	inet_sk_set_state(sk, TCP_CLOSE);
	release_sock(sk);
	sock_orphan(sk);
	sock_put(sk);
}

/* The link is dead: its memory may go, so the circuit goes at once. */
static void sock_lose_circuit(struct sock *sk)
{
	struct vmc_circuit *circuit = vmc_sock_circuit(sk);

	if (!circuit)
		return;
	vmc_sock_break(sk, ECONNRESET);
	vmc_mapping_lose(sk);
	sk_stop_timer(sk, &sk->sk_timer);
	vmc_held_stop(sk);
	RCU_INIT_POINTER(vmc_sk(sk)->circuit, NULL);
	vmc_circuit_release(circuit);
}

/**
 * vmc_sock_run_deferred - what others could not do while we owned the socket
 * @sk: its spinlock held, still owned (called by release_sock())
 */
void vmc_sock_run_deferred(struct sock *sk)
{
	struct vmc_sock *vs = vmc_sk(sk);

	vmc_mapping_run_deferred(sk);
	if (test_and_clear_bit(VMC_DEFERRED_PUSH, &vs->deferred))
		vmc_held_push(sk);
	if (test_and_clear_bit(VMC_DEFERRED_UPDATE, &vs->deferred))
		vmc_sock_update(sk);
	if (test_and_clear_bit(VMC_DEFERRED_RESET, &vs->deferred))
		vmc_sock_break(sk, vs->reset_error);
	if (test_and_clear_bit(VMC_DEFERRED_LINK_DOWN, &vs->deferred))
		sock_lose_circuit(sk);
}

/* Lock the socket if it still has this circuit. Under RCU, BH off. */
static bool sock_lock_for(struct sock *sk, struct vmc_circuit *circuit)
{
	bh_lock_sock(sk);
	if (vmc_sock_circuit(sk) == circuit)
		return true;
	bh_unlock_sock(sk);
	return false;
}

/*
 * With the bell the request for it is used up: ask anew for who wants SIGIO,
 * for who waits for the end and is not woken by data, and, if somebody took the
 * data before this bell was heard, on behalf of who still sleeps.
 */
static bool signal_has_data(struct sock *sk, struct vmc_circuit *circuit)
{
	struct socket_wq *wq = rcu_dereference(sk->sk_wq);

	if ((wq && wq->fasync_list) || READ_ONCE(vmc_sk(sk)->wants_end))
		vmc_circuit_await_data(circuit);
	if (vmc_circuit_readable_hint(circuit))
		return true;
	if (!skwq_has_sleeper(wq))
		return false;
	vmc_circuit_await_data(circuit);
	return vmc_circuit_readable_hint(circuit);
}

/* As signal_has_data(), for who waits for room. */
static bool signal_has_space(struct sock *sk, struct vmc_circuit *circuit)
{
	struct vmc_sock *vs = vmc_sk(sk);

	if (!READ_ONCE(vs->wants_space))
		return false;
	if (!vmc_circuit_is_roomy_hint(circuit)) {
		vmc_circuit_await_space(circuit);
		if (!vmc_circuit_is_roomy_hint(circuit))
			return false;
	}
	WRITE_ONCE(vs->wants_space, false);
	return true;
}

/* False: the socket has this circuit no more. Under RCU, BH off. */
static bool sock_heed_flags(struct sock *sk, struct vmc_circuit *circuit)
{
	if (!sock_lock_for(sk, circuit))
		return false;
	if (sock_owned_by_user(sk))
		set_bit(VMC_DEFERRED_UPDATE, &vmc_sk(sk)->deferred);
	else
		vmc_sock_update(sk);
	bh_unlock_sock(sk);
	return true;
}

/* FIN is seen once; the others end the circuit soon. */
static bool has_unseen_news(const struct vmc_circuit *circuit)
{
	enum vmc_state state = READ_ONCE(circuit->state);
	u32 news = news_of(circuit);

	if (state != VMC_STATE_OPEN && state != VMC_STATE_TX_SHUT)
		news &= ~VMC_CTL_FIN;
	return news;
}

/**
 * vmc_sock_refresh - before somebody asks for the socket's state
 * @sk: not owned by the caller
 *
 * A peer that ends rings only who asked for a bell.
 */
void vmc_sock_refresh(struct sock *sk)
{
	struct vmc_circuit *circuit;

	rcu_read_lock();
	circuit = rcu_dereference(vmc_sk(sk)->circuit);
	if (circuit && has_unseen_news(circuit)) {
		local_bh_disable();
		sock_heed_flags(sk, circuit);
		local_bh_enable();
	}
	rcu_read_unlock();
}

static void sock_signal(struct vmc_circuit *circuit)
{
	struct sock *sk = circuit->owner;

	if (!sock_heed_flags(sk, circuit))
		return;
	if (signal_has_data(sk, circuit))
		sk->sk_data_ready(sk);
	else if (news_of(circuit))
		sk->sk_state_change(sk);
	if (vmc_uplink_has_news(circuit))
		sk->sk_state_change(sk);
	if (signal_has_space(sk, circuit))
		sk->sk_write_space(sk);
}

/* Do it now, or let release_sock() do it and wake who sleeps meanwhile. */
static void sock_do_or_defer(struct vmc_circuit *circuit,
			     enum vmc_deferred what, int error)
{
	struct sock *sk = circuit->owner;

	local_bh_disable();
	if (sock_lock_for(sk, circuit)) {
		if (what == VMC_DEFERRED_RESET)
			vmc_sk(sk)->reset_error = error;
		set_bit(what, &vmc_sk(sk)->deferred);
		if (sock_owned_by_user(sk))
			sk->sk_state_change(sk);
		else
			vmc_sock_run_deferred(sk);
		bh_unlock_sock(sk);
	}
	local_bh_enable();
}

static void sock_link_down(struct vmc_circuit *circuit)
{
	sock_do_or_defer(circuit, VMC_DEFERRED_LINK_DOWN, 0);
}

static void sock_reset(struct vmc_circuit *circuit, int error)
{
	sock_do_or_defer(circuit, VMC_DEFERRED_RESET, error);
}

static void name_show(struct seq_file *seq, const struct sock *sk, bool remote)
{
	const struct inet_sock *inet = inet_sk(sk);
	u16 port = ntohs(remote ? inet->inet_dport : inet->inet_sport);

	if (sk->sk_family == AF_INET6)
		seq_printf(seq, "[%pI6c]:%u", remote ? &sk->sk_v6_daddr :
			   &sk->sk_v6_rcv_saddr, port);
	else
		seq_printf(seq, "%pI4:%u", remote ? &inet->inet_daddr :
			   &inet->inet_saddr, port);
}

static void sock_show_names(struct seq_file *seq,
			    const struct vmc_circuit *circuit)
{
	name_show(seq, circuit->owner, false);
	seq_putc(seq, ' ');
	name_show(seq, circuit->owner, true);
}

const struct vmc_circuit_user vmc_sock_circuit_user = {
	.signal		= sock_signal,
	.link_down	= sock_link_down,
	.reset		= sock_reset,
	.show_names	= sock_show_names,
};
