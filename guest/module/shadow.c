// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shadow: the TCP socket inside each of ours. It owns the port, keeps the
 * options that a circuit does not interpret, and carries the traffic when
 * there is no circuit.
 *
 * It wakes whoever waits on our socket: its wait queue is ours. Errors are
 * trickier, because the kernel itself serves SO_ERROR from our socket: an
 * error of the shadow is mirrored in ours, and whichever of the two is read
 * first clears both (vmc_shadow_sync_error()).
 */
#include <net/inet_hashtables.h>
#include <net/ipv6.h>
#include <net/tcp.h>
#include "compat.h"
#include "shadow.h"
#include "sock.h"

/* TCP's own, the same for every socket; learned from the first that we hook. */
static void (*tcp_error_report)(struct sock *tcp);

static void shadow_error_report(struct sock *tcp)
{
	struct sock *sk;

	rcu_read_lock();
	sk = __rcu_dereference_sk_user_data_with_flags(tcp,
						       SK_USER_DATA_NOCOPY);
	if (sk) {
		WRITE_ONCE(sk->sk_err, READ_ONCE(tcp->sk_err));
		/* Who sees the flag sees the error: vmc_shadow_sync_error() */
		smp_store_release(&vmc_sk(sk)->has_mirrored_error, true);
	}
	rcu_read_unlock();
	READ_ONCE(tcp_error_report)(tcp);
}

/**
 * vmc_shadow_copy_options - give one socket's options to another
 * @to: a TCP socket, or ours to keep them in
 * @from: likewise, of the same family
 *
 * What TCP's accepted sockets have from their listener.
 */
void vmc_shadow_copy_options(struct sock *to, const struct sock *from)
{
	tcp_sk(to)->nonagle = tcp_sk(from)->nonagle;
	tcp_sk(to)->keepalive_time = tcp_sk(from)->keepalive_time;
	tcp_sk(to)->keepalive_intvl = tcp_sk(from)->keepalive_intvl;
	tcp_sk(to)->keepalive_probes = tcp_sk(from)->keepalive_probes;
	tcp_sk(to)->linger2 = tcp_sk(from)->linger2;
	tcp_sk(to)->notsent_lowat = tcp_sk(from)->notsent_lowat;
	tcp_sk(to)->recvmsg_inq = tcp_sk(from)->recvmsg_inq;
	tcp_sk(to)->rx_opt.user_mss = tcp_sk(from)->rx_opt.user_mss;
	inet_csk(to)->icsk_user_timeout = inet_csk(from)->icsk_user_timeout;
	inet_csk(to)->icsk_syn_retries = inet_csk(from)->icsk_syn_retries;
	inet_sk(to)->tos = inet_sk(from)->tos;
	inet_sk(to)->uc_ttl = inet_sk(from)->uc_ttl;
	inet_sk(to)->min_ttl = inet_sk(from)->min_ttl;
	if (to->sk_family == AF_INET6) {
		to->sk_ipv6only = from->sk_ipv6only;
		inet6_sk(to)->hop_limit = inet6_sk(from)->hop_limit;
		inet6_sk(to)->tclass = inet6_sk(from)->tclass;
	}
}

/**
 * vmc_shadow_create - make the TCP socket inside
 * @sk: has a struct socket, or its shadow wakes nobody
 *
 * May sleep.
 *
 * Return: 0 or what socket() would say.
 */
int vmc_shadow_create(struct sock *sk)
{
	struct socket *shadow;
	struct sock *tcp;
	int err;

	err = __sock_create(sock_net(sk), sk->sk_family, SOCK_STREAM,
			    IPPROTO_TCP, &shadow, 0);
	if (err)
		return err;
	tcp = shadow->sk;
	lock_sock(tcp);
	write_lock_bh(&tcp->sk_callback_lock);
	if (sk->sk_socket)
		rcu_assign_pointer(tcp->sk_wq, &sk->sk_socket->wq);
	write_unlock_bh(&tcp->sk_callback_lock);
	/* SIGIO is asked for on our socket; the shadow always passes it on. */
	sock_set_flag(tcp, SOCK_FASYNC);
	release_sock(tcp);

	if (cmpxchg(&vmc_sk(sk)->shadow, NULL, shadow))
		sock_release(shadow);
	return 0;
}

/**
 * vmc_shadow_carry - the shadow carries the traffic from now on
 * @sk: owned, with a shadow that is not connected
 *
 * Its errors are ours from now on.
 */
void vmc_shadow_carry(struct sock *sk)
{
	struct sock *tcp = vmc_sk(sk)->shadow->sk;

	write_lock_bh(&tcp->sk_callback_lock);
	if (tcp->sk_error_report != shadow_error_report) {
		WRITE_ONCE(tcp_error_report, tcp->sk_error_report);
		__rcu_assign_sk_user_data_with_flags(tcp, sk,
						     SK_USER_DATA_NOCOPY);
		tcp->sk_error_report = shadow_error_report;
	}
	write_unlock_bh(&tcp->sk_callback_lock);
	WRITE_ONCE(vmc_sk(sk)->is_fallback, true);
}

/*
 * An accepted circuit has its listener's port, which its shadow cannot have;
 * but whether there is one decides what bind() and options answer. Once
 * disconnected, the shadow tells the name that is left.
 */
static void shadow_lend_name(struct sock *sk)
{
	struct sock *tcp = vmc_sk(sk)->shadow->sk;

	lock_sock_nested(tcp, SINGLE_DEPTH_NESTING);
	inet_sk(tcp)->inet_num = inet_sk(sk)->inet_num;
	inet_sk(tcp)->inet_sport = inet_sk(sk)->inet_sport;
	if (sk->sk_userlocks & SOCK_BINDADDR_LOCK) {
		tcp->sk_userlocks |= SOCK_BINDADDR_LOCK;
		inet_sk(tcp)->inet_saddr = inet_sk(sk)->inet_saddr;
		inet_sk(tcp)->inet_rcv_saddr = inet_sk(sk)->inet_rcv_saddr;
		if (sk->sk_family == AF_INET6) {
			tcp->sk_v6_rcv_saddr = sk->sk_v6_rcv_saddr;
			inet6_sk(tcp)->saddr = inet6_sk(sk)->saddr;
		}
	}
	release_sock(tcp);
}

/* Shadow locked. TCP warns of a number without a port when it ends. */
static void shadow_return_port(struct sock *tcp)
{
	if (!inet_csk(tcp)->icsk_bind_hash)
		inet_sk(tcp)->inet_num = 0;
}

/**
 * vmc_shadow_get - the shadow, made now if need be
 * @sk: ours
 *
 * May sleep; the socket may be owned. An accepted circuit has none until
 * somebody asks.
 *
 * Return: the shadow, or NULL for want of memory.
 */
struct socket *vmc_shadow_get(struct sock *sk)
{
	struct vmc_sock *vs = vmc_sk(sk);

	if (!READ_ONCE(vs->shadow)) {
		if (vmc_shadow_create(sk))
			return NULL;
		vmc_shadow_copy_options(READ_ONCE(vs->shadow)->sk, sk);
		shadow_lend_name(sk);
	}
	/* TCP gives a port back when the connection has ended. */
	if (READ_ONCE(sk->sk_state) == TCP_CLOSE && inet_sk(sk)->inet_dport &&
	    !READ_ONCE(vs->is_fallback))
		vmc_shadow_give_port(sk);
	return READ_ONCE(vs->shadow);
}

/**
 * vmc_shadow_disown - TCP accepted a socket through a shadow
 * @tcp: the accepted one, which shall be plain TCP
 */
void vmc_shadow_disown(struct sock *tcp)
{
	sock_reset_flag(tcp, SOCK_FASYNC);
}

/**
 * vmc_shadow_release - end the shadow
 * @sk: being closed
 *
 * May sleep as long as SO_LINGER says.
 */
void vmc_shadow_release(struct sock *sk)
{
	struct socket *shadow = vmc_sk(sk)->shadow;
	struct sock *tcp;

	if (!shadow)
		return;
	vmc_sk(sk)->shadow = NULL;
	tcp = shadow->sk;
	write_lock_bh(&tcp->sk_callback_lock);
	if (tcp->sk_error_report == shadow_error_report) {
		rcu_assign_sk_user_data(tcp, NULL);
		tcp->sk_error_report = READ_ONCE(tcp_error_report);
	}
	write_unlock_bh(&tcp->sk_callback_lock);
	lock_sock_nested(tcp, SINGLE_DEPTH_NESTING);
	shadow_return_port(tcp);
	release_sock(tcp);
	sock_release(shadow);
}

/**
 * vmc_shadow_sync_error - make the shadow's error and its mirror agree
 * @sk: ours; called before and after each use of the shadow for traffic
 */
void vmc_shadow_sync_error(struct sock *sk)
{
	struct vmc_sock *vs = vmc_sk(sk);
	struct sock *tcp = vs->shadow->sk;

	if (likely(!smp_load_acquire(&vs->has_mirrored_error)))
		return;
	if (!READ_ONCE(sk->sk_err)) {
		/* Read by SO_ERROR from ours. */
		WRITE_ONCE(vs->has_mirrored_error, false);
		sock_error(tcp);
	} else if (!READ_ONCE(tcp->sk_err)) {
		/* Returned by a call on the shadow. */
		WRITE_ONCE(vs->has_mirrored_error, false);
		sock_error(sk);
	}
}

/**
 * vmc_shadow_take_port - bind the shadow to a free port if it has none
 * @sk: ours, with a shadow
 *
 * Return: the port, or -EADDRNOTAVAIL when all are taken.
 */
int vmc_shadow_take_port(struct sock *sk)
{
	struct sock *tcp = vmc_sk(sk)->shadow->sk;
	struct inet_sock *inet = inet_sk(tcp);
	int port;

	lock_sock_nested(tcp, SINGLE_DEPTH_NESTING);
	if (!inet->inet_num) {
		if (tcp->sk_prot->get_port(tcp, 0)) {
			release_sock(tcp);
			return -EADDRNOTAVAIL;
		}
		inet->inet_sport = htons(inet->inet_num);
	}
	port = inet->inet_num;
	release_sock(tcp);
	return port;
}

/**
 * vmc_shadow_give_port - undo vmc_shadow_take_port()
 * @sk: ours, with a shadow that is not connected
 *
 * A port that bind() chose stays. getsockname() goes on to tell the other, as
 * TCP's does.
 */
void vmc_shadow_give_port(struct sock *sk)
{
	struct sock *tcp = vmc_sk(sk)->shadow->sk;

	lock_sock_nested(tcp, SINGLE_DEPTH_NESTING);
	shadow_return_port(tcp);
	if (tcp->sk_state == TCP_CLOSE && inet_csk(tcp)->icsk_bind_hash &&
	    !(tcp->sk_userlocks & SOCK_BINDPORT_LOCK))
		tcp->sk_prot->put_port(tcp);
	release_sock(tcp);
}

/**
 * vmc_shadow_disconnect - the shadow listens no more
 * @sk: owned, with a shadow
 *
 * As connect(AF_UNSPEC) and shutdown() do it; the latter wakes all afterwards.
 */
void vmc_shadow_disconnect(struct sock *sk)
{
	struct sock *tcp = vmc_sk(sk)->shadow->sk;

	lock_sock_nested(tcp, SINGLE_DEPTH_NESTING);
	tcp->sk_prot->disconnect(tcp, 0);
	release_sock(tcp);
}
