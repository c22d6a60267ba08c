// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data: send, half-close, and how much there is; receive.c has the other half.
 * Each call looks whether the socket has fallen back to TCP, and then is the
 * shadow's; otherwise it does on rings what TCP does on its queues, step by
 * step in TCP's order, because programs depend on which of several things they
 * are told first.
 */
#include <linux/sockios.h>
#include <asm/ioctls.h>
#include <net/inet_common.h>
#include <net/tcp_states.h>
#include "circuit.h"
#include "compat.h"
#include "connect.h"
#include "held.h"
#include "link.h"
#include "option_table.h"
#include "ring_copy.h"
#include "shadow.h"
#include "spin.h"
#include "stream.h"
#include "timewait.h"
#include "urgent.h"
#include "zerocopy.h"

static int fallback_send(struct sock *sk, struct msghdr *msg, size_t bytes)
{
	struct socket *shadow = vmc_sk(sk)->shadow;
	int ret;

	vmc_shadow_sync_error(sk);
	ret = READ_ONCE(shadow->ops)->sendmsg(shadow, msg, bytes);
	vmc_shadow_sync_error(sk);
	return ret;
}

/* Not owned: a hint, for which the circuit must not go away meanwhile. */
static bool space_or_end(struct sock *sk, u32 unused)
{
	struct vmc_circuit *circuit;
	bool ret = true;

	rcu_read_lock();
	circuit = rcu_dereference(vmc_sk(sk)->circuit);
	if (circuit && !READ_ONCE(sk->sk_err) &&
	    !(READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN))
		ret = (vmc_circuit_peer_flags(circuit) &
		       (VMC_CTL_GONE | VMC_CTL_RST)) ||
		      vmc_circuit_is_roomy_hint(circuit);
	rcu_read_unlock();
	return ret;
}

/*
 * Owned. Sleeps until there is room, or a reason to stop; -EPIPE if the socket
 * was disconnected meanwhile.
 */
static int sleep_for_space(struct sock *sk, long *timeo)
{
	struct vmc_circuit *circuit = vmc_sock_circuit(sk);
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	int err = 0;

	add_wait_queue(sk_sleep(sk), &wait);
	sk_set_bit(SOCKWQ_ASYNC_NOSPACE, sk);
	WRITE_ONCE(vmc_sk(sk)->wants_space, true);
	vmc_circuit_await_space(circuit);
	if (!space_or_end(sk, 0)) {
		if (!*timeo)
			err = -EAGAIN;
		else if (signal_pending(current))
			err = sock_intr_errno(*timeo);
		else
			err = sk_wait_event(sk, timeo, space_or_end(sk, 0),
					    &wait);
	}
	remove_wait_queue(sk_sleep(sk), &wait);
	return min(err, 0);
}

/* As sleep_for_space(), but spins first: the receiver may be at it. */
static int wait_for_space(struct sock *sk, long *timeo)
{
	int ret = 0;

	/* Only who sees it can make room. */
	vmc_held_push(sk);
	if (*timeo)
		ret = vmc_spin_in_call(sk, space_or_end, 0);
	return ret ? min(ret, 0) : sleep_for_space(sk, timeo);
}

/*
 * Owned. Copies what there is room for; 0 if there is none, -EFAULT if not one
 * byte can be read without waiting for its page. What lies before such a page
 * is held back: as with TCP, a receiver does not see parts of a small send().
 * The rings are never touched across the wait: nobody can hold a dead peer's
 * memory that way.
 */
static int send_some(struct sock *sk, struct vmc_circuit *circuit,
		     struct msghdr *msg, bool is_held)
{
	u32 room = vmc_circuit_room(circuit);
	u32 bytes, copied;
	bool is_urgent;

	bytes = min3((size_t)room, msg_data_left(msg), (size_t)VMC_CHUNK_BYTES);
	if (!bytes)
		return 0;
	pagefault_disable();
	copied = vmc_ring_copy_in(circuit, circuit->held, bytes,
				  &msg->msg_iter);
	pagefault_enable();
	if (!copied)
		return -EFAULT;
	is_urgent = (msg->msg_flags & MSG_OOB) && !msg_data_left(msg);
	if (unlikely((is_held && !is_urgent) || copied < bytes)) {
		vmc_circuit_hold(circuit, copied);
		if (is_held)
			vmc_held_look(sk);
		return copied;
	}
	if (unlikely(is_urgent))
		vmc_urgent_mark(circuit, circuit->held + copied);
	vmc_circuit_produce(circuit, copied);
	/* Whether or not somebody waits for data. */
	if (unlikely(is_urgent))
		vmc_link_ring(circuit->link, circuit->slot);
	return copied;
}

/**
 * vmc_stream_fault_in - wait for pages of the caller's
 * @sk: owned, but not meanwhile
 * @msg: where the next bytes come from, or go to
 * @is_send: come from
 *
 * Return: 0, or -EFAULT when there is no such memory.
 */
int vmc_stream_fault_in(struct sock *sk, struct msghdr *msg, bool is_send)
{
	size_t bytes = min(msg_data_left(msg), (size_t)VMC_CHUNK_BYTES);
	size_t missing;

	release_sock(sk);
	missing = is_send ? fault_in_iov_iter_readable(&msg->msg_iter, bytes) :
			    fault_in_iov_iter_writeable(&msg->msg_iter, bytes);
	lock_sock(sk);
	return missing == bytes ? -EFAULT : 0;
}

/* Owned, connected. */
static int circuit_send(struct sock *sk, struct msghdr *msg, long timeo)
{
	bool is_held = vmc_held_is_wanted(sk, msg->msg_flags);
	struct vmc_circuit *circuit;
	int sent = 0, err, n;

	for (;;) {
		err = -EPIPE;
		circuit = vmc_sock_circuit(sk);
		if (sk->sk_err || (sk->sk_shutdown & SEND_SHUTDOWN) || !circuit)
			goto stop;
		if (!msg_data_left(msg))
			return sent;
		err = -EBUSY;
		if (circuit->is_mapped)
			goto stop;
		/* The host's socket could not be told where in the stream. */
		err = -EOPNOTSUPP;
		if ((msg->msg_flags & MSG_OOB) && circuit->link->is_uplink)
			goto stop;
		if (vmc_circuit_peer_flags(circuit) &
		    (VMC_CTL_GONE | VMC_CTL_RST)) {
			vmc_sock_update(sk);
			if (sk->sk_err)
				continue;
			/*
			 * The peer closed and we did not know: TCP takes the
			 * data, and the answer is a reset.
			 */
			sent += msg_data_left(msg);
			vmc_sock_break(sk, EPIPE);
			return sent;
		}
		n = send_some(sk, circuit, msg, is_held);
		if (n < 0) {
			err = vmc_stream_fault_in(sk, msg, true);
			if (err)
				goto stop;
			continue;
		}
		sent += n;
		if (n)
			continue;
		if (circuit->is_lying) {
			vmc_sock_update(sk);
			continue;
		}
		err = wait_for_space(sk, &timeo);
		if (err)
			goto stop;
	}
stop:
	/* After a page that is not there, for one. */
	if (!is_held)
		vmc_held_push(sk);
	return sent ?: sk_stream_error(sk, msg->msg_flags, err);
}

/**
 * vmc_stream_send - the send() family of system calls
 * @sock: ours
 * @msg: flags and data
 * @bytes: of data
 *
 * Return: as sendmsg(2); -EBUSY while a program has mapped the circuit.
 */
int vmc_stream_send(struct socket *sock, struct msghdr *msg, size_t bytes)
{
	struct sock *sk = sock->sk;
	int flags = msg->msg_flags, ret = 0;
	struct ubuf_info *notice = NULL;
	long timeo;

	if ((flags & MSG_FASTOPEN) && msg->msg_name &&
	    sk->sk_state == TCP_CLOSE) {
		ret = vmc_connect(sock, msg->msg_name, msg->msg_namelen,
				  flags & MSG_DONTWAIT ? O_NONBLOCK : 0);
		if (ret)
			return ret;
		msg->msg_flags &= ~MSG_FASTOPEN;
	}
	if (READ_ONCE(vmc_sk(sk)->is_fallback))
		return fallback_send(sk, msg, bytes);
	if ((msg->msg_flags & MSG_FASTOPEN) && sock->state == SS_CONNECTED)
		return -EISCONN;
	lock_sock(sk);
	timeo = sock_sndtimeo(sk, flags & MSG_DONTWAIT);
	if (unlikely(flags & MSG_ZEROCOPY))
		ret = vmc_zerocopy_begin(sk, msg, &notice);
	if (!ret && ((1 << sk->sk_state) & ~(TCPF_ESTABLISHED | TCPF_CLOSE_WAIT)))
		ret = sk_stream_wait_connect(sk, &timeo);
	if (ret)
		ret = sk_stream_error(sk, flags, ret);
	else
		ret = circuit_send(sk, msg, timeo);
	if (unlikely(notice))
		vmc_zerocopy_end(notice, ret);
	release_sock(sk);
	return ret;
}

/**
 * vmc_stream_splice_eof - sendfile() or splice() found less than it was to send
 * @sock: ours
 *
 * They send with MSG_MORE what is not the end.
 */
void vmc_stream_splice_eof(struct socket *sock)
{
	struct socket *shadow = vmc_sk(sock->sk)->shadow;
	struct sock *sk = sock->sk;

	if (READ_ONCE(vmc_sk(sk)->is_fallback)) {
		READ_ONCE(shadow->ops)->splice_eof(shadow);
		return;
	}
	lock_sock(sk);
	if (!vmc_held_is_wanted(sk, 0))
		vmc_held_push(sk);
	release_sock(sk);
}

enum ioctl_way {
	IOCTL_READABLE,
	IOCTL_UNTAKEN,
	IOCTL_HELD,
	IOCTL_MARK,
	IOCTL_OTHER,
};

#define IOCTL_CASE(request, way, words) \
	case request: \
		return IOCTL_##way;

static enum ioctl_way ioctl_way(int cmd)
{
	switch (cmd) {
	VMC_STREAM_IOCTLS(IOCTL_CASE)
	default:
		return IOCTL_OTHER;
	}
}

/**
 * vmc_stream_ioctl - SIOCINQ and its like
 * @sk: ours
 * @cmd: which
 * @ret_value: the answer, bytes
 *
 * SIOCOUTQ counts what the peer's application has not read.
 *
 * Return: 0, -EINVAL on a listener, -ENOIOCTLCMD for others.
 */
int vmc_stream_ioctl(struct sock *sk, int cmd, int *ret_value)
{
	struct vmc_circuit *circuit;
	int err = 0;

	if (READ_ONCE(vmc_sk(sk)->is_fallback)) {
		struct sock *tcp = vmc_sk(sk)->shadow->sk;

		return tcp->sk_prot->ioctl(tcp, cmd, ret_value);
	}
	if (sk->sk_state == TCP_LISTEN && cmd != SIOCATMARK)
		return -EINVAL;
	lock_sock(sk);
	circuit = vmc_sock_circuit(sk);
	switch (ioctl_way(cmd)) {
	case IOCTL_READABLE:
		*ret_value = circuit ? vmc_urgent_readable(sk, circuit) : 0;
		break;
	case IOCTL_UNTAKEN:
		*ret_value = circuit ? circuit->tx_bytes -
				       vmc_circuit_writable(circuit) +
				       circuit->held : 0;
		break;
	case IOCTL_HELD:
		*ret_value = circuit ? circuit->held : 0;
		break;
	case IOCTL_MARK:
		*ret_value = circuit && vmc_urgent_is_next(sk, circuit);
		break;
	case IOCTL_OTHER:
		err = -ENOIOCTLCMD;
		break;
	}
	release_sock(sk);
	return err;
}

/* Whoever has ended both directions resets the peer if more comes. */
static void shutdown_both(struct sock *sk, struct vmc_circuit *circuit)
{
	struct vmc_sock *vs = vmc_sk(sk);

	if (vs->is_deaf || circuit->is_mapped)
		return;
	/* In this order: what comes after the look rings. */
	vmc_circuit_await_data(circuit);
	vs->deaf_from = circuit->cons + vmc_circuit_readable(circuit);
	vs->is_deaf = true;
}

/**
 * vmc_stream_shutdown - what the kernel leaves to us of shutdown()
 * @sk: owned; the kernel has set sk_shutdown and knows the socket is connected
 * @how: RCV_SHUTDOWN, SEND_SHUTDOWN
 */
void vmc_stream_shutdown(struct sock *sk, int how)
{
	struct vmc_circuit *circuit = vmc_sock_circuit(sk);

	if (!circuit)
		return;
	if ((how & SEND_SHUTDOWN) &&
	    ((1 << sk->sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT)) &&
	    vmc_circuit_step(circuit, VMC_EVENT_SHUT_TX)) {
		if (sk->sk_state == TCP_ESTABLISHED)
			vmc_timewait_enter(sk);
		inet_sk_set_state(sk, sk->sk_state == TCP_ESTABLISHED ?
				  TCP_FIN_WAIT2 : TCP_CLOSE);
		vmc_held_push(sk);
		vmc_circuit_set_flags(circuit, VMC_CTL_FIN);
	}
	if (sk->sk_state == TCP_FIN_WAIT2 &&
	    sk->sk_shutdown == SHUTDOWN_MASK)
		shutdown_both(sk, circuit);
}
