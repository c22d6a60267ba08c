// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a sender holds back. With MSG_MORE or TCP_CORK small pieces wait for
 * those that follow, as with TCP: until a segment is full, a send() without
 * them, the end, or 200 ms. They lie in the ring behind the producer index, so
 * the peer does not see them, and the next bytes take them along. A send() that
 * waits for a page of its caller holds back likewise what it has, without the
 * timer. Called by stream.c, sock.c and whoever changes the options.
 */
#include <net/tcp.h>
#include "circuit.h"
#include "compat.h"
#include "held.h"
#include "netdev.h"

/* As TCP's timer that looks after a corked segment. */
#define PATIENCE	(HZ / 5)

static void held_expire(struct timer_list *timer)
{
	struct vmc_sock *vs = from_timer(vs, timer, held_timer);
	struct sock *sk = (struct sock *)vs;

	bh_lock_sock(sk);
	if (sock_owned_by_user(sk))
		set_bit(VMC_DEFERRED_PUSH, &vs->deferred);
	else
		vmc_held_push(sk);
	bh_unlock_sock(sk);
	sock_put(sk);
}

/**
 * vmc_held_init - nothing is held back
 * @sk: not yet visible to anyone
 */
void vmc_held_init(struct sock *sk)
{
	timer_setup(&vmc_sk(sk)->held_timer, held_expire, 0);
}

/**
 * vmc_held_is_wanted - whether a send() shall leave its bytes with us
 * @sk: owned
 * @flags: MSG_
 */
bool vmc_held_is_wanted(const struct sock *sk, int flags)
{
	return (flags & MSG_MORE) || (tcp_sk(sk)->nonagle & TCP_NAGLE_CORK);
}

/**
 * vmc_held_look - push what is held if it is a full segment, else wait
 * @sk: owned, with a circuit
 */
void vmc_held_look(struct sock *sk)
{
	if (vmc_sock_circuit(sk)->held >= vmc_netdev_mss(sk->sk_family))
		vmc_held_push(sk);
	else
		vmc_sock_set_timer(sk, &vmc_sk(sk)->held_timer,
				   jiffies + PATIENCE);
}

/**
 * vmc_held_option - an option was set that may let go what is held back
 * @sk: owned
 * @name: of SOL_TCP
 */
void vmc_held_option(struct sock *sk, int name)
{
	u8 nonagle = tcp_sk(sk)->nonagle;

	if ((name == TCP_CORK && !(nonagle & TCP_NAGLE_CORK)) ||
	    (name == TCP_NODELAY && (nonagle & TCP_NAGLE_OFF)))
		vmc_held_push(sk);
}

/**
 * vmc_held_push - give the peer what is held back
 * @sk: owned, or its spinlock held
 */
void vmc_held_push(struct sock *sk)
{
	struct vmc_circuit *circuit = vmc_sock_circuit(sk);

	if (circuit && circuit->held)
		vmc_circuit_produce(circuit, 0);
}

/**
 * vmc_held_stop - there will be nothing to hold back
 * @sk: owned, or its spinlock held; loses its circuit
 */
void vmc_held_stop(struct sock *sk)
{
	sk_stop_timer(sk, &vmc_sk(sk)->held_timer);
}
