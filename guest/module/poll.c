// SPDX-License-Identifier: GPL-2.0-only
/*
 * poll(), select(), epoll: what TCP would report, of a circuit, a listener or
 * a fallback.
 */
#include <net/inet_common.h>
#include <net/tcp_states.h>
#include "circuit.h"
#include "compat.h"
#include "listen.h"
#include "poll.h"
#include "shadow.h"
#include "urgent.h"

/*
 * Data does not wake who waits for the end alone, and so does not make it ask
 * anew. Each bell costs the peer a doorbell from then on, so who only looks
 * asks for none.
 */
static void note_end_waiter(struct sock *sk, const poll_table *wait)
{
	__poll_t wanted = poll_requested_events(wait);

	if (vmc_poll_waits(wait) && !(wanted & EPOLLIN) &&
	    ((wanted & EPOLLRDHUP) ||
	     (READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN)))
		WRITE_ONCE(vmc_sk(sk)->wants_end, true);
}

/* Under RCU. Asks for bells on what is not there, and looks again. */
static __poll_t circuit_poll(struct sock *sk, struct vmc_circuit *circuit,
			     __poll_t wanted)
{
	/* The sender stops to send when the ring is more than two thirds full. */
	u32 target = min_t(u32, sock_rcvlowat(sk, 0, INT_MAX),
			   circuit->rx_bytes / 2);
	__poll_t mask = 0;

	/*
	 * Always, though there may be data: an edge-triggered waiter wants to
	 * hear of the data after these, too, and everybody of the end.
	 */
	vmc_circuit_await_data(circuit);
	/* A byte that is read out of band is nothing to read. */
	if (vmc_urgent_is_out_of_band(sk) && vmc_urgent_is_next(sk, circuit))
		target++;
	if (wanted & (EPOLLIN | EPOLLRDNORM) &&
	    vmc_circuit_readable_hint(circuit) >= target)
		mask |= EPOLLIN | EPOLLRDNORM;
	if (vmc_urgent_is_unread(sk, circuit))
		mask |= EPOLLPRI;
	if (!(wanted & (EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND)))
		return mask;
	if (READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN)
		return mask | EPOLLOUT | EPOLLWRNORM;
	if (!vmc_circuit_is_roomy_hint(circuit)) {
		WRITE_ONCE(vmc_sk(sk)->wants_space, true);
		vmc_circuit_await_space(circuit);
		if (!vmc_circuit_is_roomy_hint(circuit))
			return mask;
	}
	return mask | EPOLLOUT | EPOLLWRNORM;
}

static __poll_t listener_poll(struct sock *sk)
{
	struct socket *shadow = vmc_sk(sk)->shadow;
	__poll_t mask = 0;

	if (vmc_listen_has_child(sk))
		mask |= EPOLLIN | EPOLLRDNORM;
	return mask | READ_ONCE(shadow->ops)->poll(NULL, shadow, NULL);
}

static __poll_t fallback_poll(struct sock *sk)
{
	struct socket *shadow = vmc_sk(sk)->shadow;
	__poll_t mask;

	vmc_shadow_sync_error(sk);
	/* The waiter is on our queue, which is the shadow's as well. */
	mask = READ_ONCE(shadow->ops)->poll(NULL, shadow, NULL);
	return mask | (READ_ONCE(sk->sk_err) ? EPOLLERR : 0);
}

/**
 * vmc_poll - poll(), select(), epoll
 * @file: of the socket
 * @sock: ours
 * @wait: how to wait
 *
 * Return: the events that TCP would report.
 */
__poll_t vmc_poll(struct file *file, struct socket *sock, poll_table *wait)
{
	__poll_t wanted = poll_requested_events(wait), mask = 0;
	struct sock *sk = sock->sk;
	struct vmc_circuit *circuit;
	u8 shutdown;
	int state;

	sock_poll_wait(file, sock, wait);
	state = inet_sk_state_load(sk);
	if (state == TCP_LISTEN)
		return listener_poll(sk);
	if (READ_ONCE(vmc_sk(sk)->is_fallback))
		return fallback_poll(sk);

	note_end_waiter(sk, wait);
	rcu_read_lock();
	circuit = rcu_dereference(vmc_sk(sk)->circuit);
	if (circuit)
		mask |= circuit_poll(sk, circuit, wanted);
	else if (state != TCP_SYN_SENT)
		mask |= EPOLLOUT | EPOLLWRNORM;
	rcu_read_unlock();
	/* The peer may have ended before we asked for its bell. */
	vmc_sock_refresh(sk);

	shutdown = READ_ONCE(sk->sk_shutdown);
	if (shutdown == SHUTDOWN_MASK || state == TCP_CLOSE)
		mask |= EPOLLHUP;
	if (shutdown & RCV_SHUTDOWN)
		mask |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
	smp_rmb();
	if (READ_ONCE(sk->sk_err) ||
	    !skb_queue_empty_lockless(&sk->sk_error_queue))
		mask |= EPOLLERR;
	return mask;
}
