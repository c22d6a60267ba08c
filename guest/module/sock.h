/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_SOCK_H
#define VMC_SOCK_H

#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <net/sock.h>
#include "../../proto/wire.h"

struct vmc_circuit;
struct vmc_circuit_user;
struct vmc_listener;
struct vmc_mapping;

/* The names of a connection's two ends, as the wire has them. */
struct vmc_names {
	struct vmc_name local;
	struct vmc_name remote;
};

/* Bits of vmc_sock.deferred: what release_sock() shall do for others. */
enum vmc_deferred {
	VMC_DEFERRED_UPDATE,	/* look at the peer's flags */
	VMC_DEFERRED_RESET,	/* break with reset_error */
	VMC_DEFERRED_LINK_DOWN,	/* let the circuit go, its link is dead */
	VMC_DEFERRED_ANSWER,	/* the connect is answered */
	VMC_DEFERRED_UNMAPPED,	/* take the indexes back from the program */
	VMC_DEFERRED_PUSH,	/* what is held back has waited long enough */
};

/* What is known of the peer's urgent byte. */
enum vmc_urgent {
	VMC_URGENT_NONE,
	VMC_URGENT_UNREAD,
	VMC_URGENT_READ,	/* with MSG_OOB; it is still in the ring */
};

/**
 * struct vmc_sock - a stream socket that may be a circuit
 * @tcp: never runs TCP. It is there because the socket says IPPROTO_TCP, and
 *	 whoever believes that may look into it. Its option fields mirror the
 *	 shadow's, so that accepted sockets, which are clones, have them.
 * @shadow: the TCP socket inside. Set at creation; an accepted circuit gets it
 *	    when the first option is asked for (vmc_shadow_get()).
 * @circuit: RCU; written under the socket's lock
 * @mapping: while programs have mapped the circuit; see mapping.c
 * @listener: from the first listen() on, freed with the socket
 */
struct vmc_sock {
	struct tcp_sock tcp;
	struct socket *shadow;
	struct vmc_circuit __rcu *circuit;
	struct vmc_listener *listener;

	/* Socket lock. */
	bool is_fallback;	/* traffic runs over the shadow */
	bool has_mirrored_error;	/* sk_err is the shadow's */
	bool wants_space;	/* somebody waits for room */
	bool wants_end;		/* somebody waits for the end, not for data */
	bool is_patient;	/* connect() waits for the answer */
	bool is_deaf;		/* shutdown() ended both directions */
	u32 deaf_from;		/* data from this index on is refused */
	u32 cookie;		/* of the connect under way */
	u32 attachment;		/* in which it was sent */
	struct vmc_names dial;	/* what connect() shall dial */
	enum vmc_urgent urgent;
	u32 urgent_index;	/* of the byte */
	u32 urgent_heard;	/* the peer's last mark, unchecked */

	/* Socket spinlock, also while somebody owns the socket. */
	unsigned long deferred;
	int reset_error;
	int answer_error;	/* of the connect, 0: it has a circuit */
	struct vmc_mapping *mapping;

	struct timer_list held_timer;	/* holds a reference */
	struct list_head accept_node;	/* the listener's lock */
};

struct vmc6_sock {
	struct vmc_sock vs;
	struct ipv6_pinfo inet6;
};

static inline struct vmc_sock *vmc_sk(const struct sock *sk)
{
	return (struct vmc_sock *)sk;
}

/* The circuit, for who owns the socket or holds its spinlock. */
static inline struct vmc_circuit *vmc_sock_circuit(const struct sock *sk)
{
	return rcu_dereference_protected(vmc_sk(sk)->circuit, 1);
}

/* Ring sizes follow SO_SNDBUF and SO_RCVBUF only if somebody chose them. */
static inline u32 vmc_sock_wished_tx(const struct sock *sk)
{
	return sk->sk_userlocks & SOCK_SNDBUF_LOCK ? sk->sk_sndbuf : 0;
}

static inline u32 vmc_sock_wished_rx(const struct sock *sk)
{
	return sk->sk_userlocks & SOCK_RCVBUF_LOCK ? sk->sk_rcvbuf : 0;
}

void vmc_sock_init(struct sock *sk);
void vmc_sock_set_names(struct sock *sk, const struct vmc_names *names);
void vmc_sock_clear_names(struct sock *sk);
void vmc_sock_set_timer(struct sock *sk, struct timer_list *timer,
			unsigned long expires);
void vmc_sock_establish(struct sock *sk);
void vmc_sock_update(struct sock *sk);
void vmc_sock_refresh(struct sock *sk);
void vmc_sock_break(struct sock *sk, int error);
void vmc_sock_let_go(struct sock *sk, bool abort);
void vmc_sock_abandon(struct sock *sk);
void vmc_sock_run_deferred(struct sock *sk);

extern const struct vmc_circuit_user vmc_sock_circuit_user;

#endif /* VMC_SOCK_H */
