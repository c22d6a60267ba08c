// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel knows of us: stream sockets of a private protocol number in
 * AF_INET and AF_INET6. Birth, close and disconnect; everything else is a
 * table of the calls in the other files.
 */
#include <linux/module.h>
#include <net/inet_common.h>
#include <net/ipv6.h>
#include <net/protocol.h>
#include <net/tcp_states.h>
#include "circuit.h"
#include "compat.h"
#include "connect.h"
#include "inet.h"
#include "listen.h"
#include "mapping.h"
#include "poll.h"
#include "shadow.h"
#include "sock.h"
#include "sockopt.h"
#include "stream.h"
#include "timewait.h"

/* Ours encloses the shadow's, so the two need names of their own. */
static struct lock_class_key slock_key, sk_lock_key;

static int inet_init_sock(struct sock *sk)
{
	sock_lock_init_class_and_name(sk, "slock-VMCIRCUIT", &slock_key,
				      "sk_lock-VMCIRCUIT", &sk_lock_key);
	vmc_sock_init(sk);
	/* Programs ask, and know what to do with TCP. */
	sk->sk_protocol = IPPROTO_TCP;
	set_bit(SOCK_CUSTOM_SOCKOPT, &sk->sk_socket->flags);
	return vmc_shadow_create(sk);
}

static void inet_destroy_sock(struct sock *sk)
{
	vmc_shadow_release(sk);
}

static void inet_unhash(struct sock *sk)
{
	/* The shadow is in TCP's tables; we are in none. */
}

static void inet_release_cb(struct sock *sk)
{
	if (likely(!READ_ONCE(vmc_sk(sk)->deferred)))
		return;
	vmc_connect_run_deferred(sk);
	vmc_sock_run_deferred(sk);
}

/* Data that was received but not read, or linger 0: the peer is reset. */
static bool close_is_abort(struct sock *sk)
{
	struct vmc_circuit *circuit = vmc_sock_circuit(sk);

	if (!circuit || sk->sk_state == TCP_CLOSE)
		return false;
	return (sock_flag(sk, SOCK_LINGER) && !sk->sk_lingertime) ||
	       vmc_circuit_readable(circuit);
}

/* Whether this end would be the first to end in order. */
static bool close_is_first(const struct sock *sk)
{
	const struct vmc_circuit *circuit = vmc_sock_circuit(sk);

	return circuit && sk->sk_state == TCP_ESTABLISHED &&
	       !(vmc_circuit_peer_flags(circuit) &
		 (VMC_CTL_FIN | VMC_CTL_RST));
}

/*
 * With SO_LINGER and a time, TCP waits until the peer's kernel has the data. A
 * circuit's data is where the peer finds it, so there is nothing to wait for.
 */
static void inet_close(struct sock *sk, long timeout)
{
	bool is_abort;

	lock_sock(sk);
	WRITE_ONCE(sk->sk_shutdown, SHUTDOWN_MASK);
	is_abort = sk->sk_state == TCP_SYN_SENT || close_is_abort(sk);
	if (sk->sk_state == TCP_LISTEN)
		vmc_listen_stop(sk);
	else if (sk->sk_state == TCP_SYN_SENT)
		vmc_connect_cancel(sk);
	else if (!is_abort && close_is_first(sk))
		vmc_timewait_enter(sk);
	vmc_sock_let_go(sk, is_abort);
	inet_sk_set_state(sk, TCP_CLOSE);
	release_sock(sk);
	sk_common_release(sk);
}

/* connect(AF_UNSPEC), shutdown() of a listener, and after a failed connect. */
static int inet_disconnect(struct sock *sk, int flags)
{
	struct vmc_sock *vs = vmc_sk(sk);
	bool is_abort = (1 << sk->sk_state) &
		(TCPF_SYN_SENT | TCPF_ESTABLISHED | TCPF_CLOSE_WAIT |
		 TCPF_FIN_WAIT2);
	bool was_listening = sk->sk_state == TCP_LISTEN;

	/* Its pages would be another circuit's while a program has them. */
	if (vs->mapping)
		return -EBUSY;
	if (was_listening) {
		vmc_listen_stop(sk);
	} else if (sk->sk_state == TCP_SYN_SENT) {
		vmc_connect_cancel(sk);
	}
	/* A connect that was given up may have a circuit, too. */
	vmc_sock_let_go(sk, is_abort);
	if (is_abort)
		WRITE_ONCE(sk->sk_err, ECONNRESET);
	inet_sk_set_state(sk, TCP_CLOSE);
	WRITE_ONCE(sk->sk_shutdown, 0);
	vs->is_deaf = false;
	sock_reset_flag(sk, SOCK_DONE);
	vmc_sock_clear_names(sk);
	/* The shadow wakes who waits here: one accept(), as TCP does. */
	if (was_listening)
		vmc_shadow_disconnect(sk);
	if (vs->shadow)
		vmc_shadow_give_port(sk);
	if (!was_listening)
		sk_error_report(sk);
	return 0;
}

#define VMC_PROT \
	.owner		= THIS_MODULE, \
	.init		= inet_init_sock, \
	.destroy	= inet_destroy_sock, \
	.close		= inet_close, \
	.connect	= vmc_connect_dial, \
	.disconnect	= inet_disconnect, \
	.shutdown	= vmc_stream_shutdown, \
	.ioctl		= vmc_stream_ioctl, \
	.unhash		= inet_unhash, \
	.release_cb	= inet_release_cb, \
	.no_autobind	= true

static struct proto vmc_prot = {
	.name		= "VMCIRCUIT",
	.obj_size	= sizeof(struct vmc_sock),
	VMC_PROT,
};

static struct proto vmc6_prot = {
	.name		= "VMCIRCUITv6",
	.obj_size	= sizeof(struct vmc6_sock),
	.ipv6_pinfo_offset = offsetof(struct vmc6_sock, inet6),
	VMC_PROT,
};

static int inet_bind_shadow(struct socket *sock, vmc_sockaddr *addr,
			    int addr_bytes)
{
	struct socket *shadow = vmc_shadow_get(sock->sk);
	const struct sockaddr_in *in = (const void *)addr;
	struct sock *sk = sock->sk;
	int err = -EADDRINUSE;

	if (!shadow)
		return -ENOMEM;
	lock_sock(sk);
	if (!vmc_timewait_forbids(sk, shadow->sk, addr, addr_bytes))
		err = READ_ONCE(shadow->ops)->bind(shadow, addr, addr_bytes);
	/* The port is at the same place in both families' addresses. */
	if (!err && !in->sin_port)
		vmc_timewait_forget(inet_sk(shadow->sk)->inet_num);
	if (!err) {
		/* It may decide IPV6_V6ONLY, which accept() inherits, too. */
		vmc_shadow_copy_options(sk, shadow->sk);
		sk->sk_userlocks |= shadow->sk->sk_userlocks &
				    SOCK_BINDADDR_LOCK;
	}
	/* Of a connection that has ended only the name was left. */
	if (!err && inet_sk(sk)->inet_dport)
		vmc_sock_clear_names(sk);
	release_sock(sk);
	return err;
}

/*
 * accept() asks the listener's operations for the name of what it accepted,
 * which may be plain TCP.
 */
static bool is_ours(const struct socket *sock)
{
	const struct proto *prot = READ_ONCE(sock->sk->sk_prot);

	return prot == &vmc_prot || prot == &vmc6_prot;
}

static int inet_name(struct socket *sock, struct sockaddr *addr, int peer)
{
	struct sock *sk = sock->sk;
	struct socket *shadow;

	if (!is_ours(sock))
		return READ_ONCE(sock->ops)->getname(sock, addr, peer);
	vmc_sock_refresh(sk);
	shadow = READ_ONCE(vmc_sk(sk)->shadow);
	if (shadow && !inet_sk(sk)->inet_dport)
		return READ_ONCE(shadow->ops)->getname(shadow, addr, peer);
	return sk->sk_family == AF_INET6 ? inet6_getname(sock, addr, peer) :
					   inet_getname(sock, addr, peer);
}

static int inet_shutdown_sock(struct socket *sock, int how)
{
	struct socket *shadow = vmc_sk(sock->sk)->shadow;
	int err;

	vmc_sock_refresh(sock->sk);
	if (!READ_ONCE(vmc_sk(sock->sk)->is_fallback))
		return inet_shutdown(sock, how);
	vmc_shadow_sync_error(sock->sk);
	err = READ_ONCE(shadow->ops)->shutdown(shadow, how);
	vmc_shadow_sync_error(sock->sk);
	return err;
}

static int inet_ioctl_sock(struct socket *sock, unsigned int cmd,
			   unsigned long arg)
{
	struct socket *shadow = vmc_sk(sock->sk)->shadow;
	int err = vmc_mapping_ioctl(sock->sk, cmd, arg);

	if (err != -ENOIOCTLCMD)
		return err;
	if (READ_ONCE(vmc_sk(sock->sk)->is_fallback))
		return READ_ONCE(shadow->ops)->ioctl(shadow, cmd, arg);
	return sock->sk->sk_family == AF_INET6 ? inet6_ioctl(sock, cmd, arg) :
						 inet_ioctl(sock, cmd, arg);
}

#define VMC_STREAM_OPS \
	.owner		= THIS_MODULE, \
	.bind		= inet_bind_shadow, \
	.connect	= vmc_connect, \
	.socketpair	= sock_no_socketpair, \
	.accept		= vmc_listen_accept, \
	.getname	= inet_name, \
	.poll		= vmc_poll, \
	.ioctl		= inet_ioctl_sock, \
	.gettstamp	= sock_gettstamp, \
	.listen		= vmc_listen, \
	.shutdown	= inet_shutdown_sock, \
	.setsockopt	= vmc_sockopt_set, \
	.getsockopt	= vmc_sockopt_get, \
	.sendmsg	= vmc_stream_send, \
	.recvmsg	= vmc_stream_receive, \
	.splice_eof	= vmc_stream_splice_eof, \
	.set_rcvlowat	= vmc_sockopt_set_rcvlowat, \
	.set_peek_off	= sk_set_peek_off, \
	.mmap		= vmc_mapping_map

static const struct proto_ops stream_ops = {
	.family		= PF_INET,
	.release	= inet_release,
	VMC_STREAM_OPS,
};

static const struct proto_ops stream6_ops = {
	.family		= PF_INET6,
	.release	= inet6_release,
	VMC_STREAM_OPS,
};

static struct inet_protosw stream_protosw = {
	.type		= SOCK_STREAM,
	.protocol	= VMC_IPPROTO_STREAM,
	.prot		= &vmc_prot,
	.ops		= &stream_ops,
};

static struct inet_protosw stream6_protosw = {
	.type		= SOCK_STREAM,
	.protocol	= VMC_IPPROTO_STREAM,
	.prot		= &vmc6_prot,
	.ops		= &stream6_ops,
};

/**
 * vmc_inet_register - let sockets be made
 *
 * Return: 0 or what the kernel's registrations say.
 */
int vmc_inet_register(void)
{
	int err;

	err = proto_register(&vmc_prot, 1);
	if (err)
		return err;
	err = proto_register(&vmc6_prot, 1);
	if (err)
		goto unregister_prot;
	err = inet6_register_protosw(&stream6_protosw);
	if (err)
		goto unregister_prot6;
	inet_register_protosw(&stream_protosw);
	return 0;

unregister_prot6:
	proto_unregister(&vmc6_prot);
unregister_prot:
	proto_unregister(&vmc_prot);
	return err;
}

/**
 * vmc_inet_unregister - no socket is left, and none shall be made
 */
void vmc_inet_unregister(void)
{
	inet_unregister_protosw(&stream_protosw);
	inet6_unregister_protosw(&stream6_protosw);
	/* Sockets are freed by RCU, into our slabs. */
	rcu_barrier();
	proto_unregister(&vmc6_prot);
	proto_unregister(&vmc_prot);
}
