// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data: receive. As stream.c, which has the other half: a fallback is the
 * shadow's, and what programs are told first is TCP's order.
 */
#include <net/inet_common.h>
#include <net/tcp_states.h>
#include "circuit.h"
#include "compat.h"
#include "ring_copy.h"
#include "shadow.h"
#include "spin.h"
#include "stream.h"
#include "urgent.h"

static int fallback_receive(struct sock *sk, struct msghdr *msg, size_t bytes,
			    int flags)
{
	struct socket *shadow = vmc_sk(sk)->shadow;
	int ret;

	vmc_shadow_sync_error(sk);
	ret = READ_ONCE(shadow->ops)->recvmsg(shadow, msg, bytes, flags);
	vmc_shadow_sync_error(sk);
	return ret;
}

/*
 * Not owned: a hint, for which the circuit must not go away meanwhile. For more
 * than @beyond_bytes to read.
 */
static bool data_or_end(struct sock *sk, u32 beyond_bytes)
{
	struct vmc_circuit *circuit;
	bool ret = true;

	if (READ_ONCE(sk->sk_err) || (READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN))
		return true;
	rcu_read_lock();
	circuit = rcu_dereference(vmc_sk(sk)->circuit);
	if (circuit)
		ret = vmc_circuit_readable_hint(circuit) > beyond_bytes ||
		      (vmc_circuit_peer_flags(circuit) &
		       (VMC_CTL_FIN | VMC_CTL_RST));
	else
		ret = sk->sk_state == TCP_CLOSE;
	rcu_read_unlock();
	return ret;
}

/*
 * Owned. Sleeps until more than that can be read, or there is an end; -EPIPE if
 * the socket was disconnected meanwhile.
 */
static int sleep_for_data(struct sock *sk, u32 beyond_bytes, long *timeo)
{
	struct vmc_circuit *circuit = vmc_sock_circuit(sk);
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	int err;

	add_wait_queue(sk_sleep(sk), &wait);
	sk_set_bit(SOCKWQ_ASYNC_WAITDATA, sk);
	if (circuit)
		vmc_circuit_await_data(circuit);
	err = sk_wait_event(sk, timeo, data_or_end(sk, beyond_bytes), &wait);
	sk_clear_bit(SOCKWQ_ASYNC_WAITDATA, sk);
	remove_wait_queue(sk_sleep(sk), &wait);
	return min(err, 0);
}

/* As sleep_for_data(), but spins first. */
static int wait_for_data(struct sock *sk, u32 beyond_bytes, long *timeo)
{
	int ret = vmc_spin_in_call(sk, data_or_end, beyond_bytes);

	return ret ? min(ret, 0) : sleep_for_data(sk, beyond_bytes, timeo);
}

/*
 * Owned. Takes what is there, at most @bytes; 0 if nothing is, -EFAULT if not
 * one byte can be written without waiting for its page, as in stream.c.
 */
static int receive_some(struct vmc_circuit *circuit, struct msghdr *msg,
			u32 skip, size_t bytes, int flags)
{
	u32 fill = vmc_circuit_readable(circuit);
	u32 wish, copied;

	if (fill <= skip || !bytes)
		return 0;
	wish = min3((size_t)(fill - skip), bytes, (size_t)VMC_CHUNK_BYTES);
	if (flags & MSG_TRUNC) {
		copied = wish;
	} else {
		pagefault_disable();
		copied = vmc_ring_copy_out(circuit, skip, wish, &msg->msg_iter);
		pagefault_enable();
		if (!copied)
			return -EFAULT;
	}
	if (!(flags & MSG_PEEK))
		vmc_circuit_consume(circuit, copied);
	return copied;
}

/*
 * Owned. What a receiver with nothing to read is told: 1 to wait, otherwise
 * what recv() returns.
 */
static int receive_verdict(struct sock *sk, long timeo)
{
	if (sock_flag(sk, SOCK_DONE))
		return 0;
	if (sk->sk_err)
		return sock_error(sk);
	if (sk->sk_shutdown & RCV_SHUTDOWN)
		return 0;
	if (sk->sk_state == TCP_CLOSE)
		return -ENOTCONN;
	if (!timeo) {
		/* SIGIO shall tell of what comes next. */
		if (sock_flag(sk, SOCK_FASYNC) && vmc_sock_circuit(sk))
			vmc_circuit_await_data(vmc_sock_circuit(sk));
		return -EAGAIN;
	}
	if (signal_pending(current))
		return sock_intr_errno(timeo);
	return 1;
}

/*
 * Owned. A receiver that has come to the urgent byte stops before it if it has
 * something, and passes over it if it is read out of band. The mark is looked
 * for after the bytes, so it is not missed in *@ret_span bytes.
 *
 * Return: 0 to go on, 1 when the byte is passed over, -EINTR and its like.
 */
static int receive_urgent(struct sock *sk, struct vmc_circuit *circuit,
			  u32 skip, int received, int flags, long timeo,
			  u32 *ret_span)
{
	u32 fill = vmc_circuit_readable(circuit);

	vmc_urgent_notice(sk, circuit);
	if (likely(vmc_urgent_span(sk, circuit, skip, fill, ret_span) ==
		   VMC_URGENT_ELSEWHERE))
		return 0;
	if (received)
		return -EAGAIN;
	if (signal_pending(current))
		return timeo ? sock_intr_errno(timeo) : -EAGAIN;
	if (fill <= skip || !vmc_urgent_is_out_of_band(sk))
		return 0;
	if (!(flags & MSG_PEEK))
		vmc_circuit_consume(circuit, 1);
	return 1;
}

/* Owned. */
static int circuit_receive(struct sock *sk, struct msghdr *msg, size_t bytes,
			   int flags, long timeo)
{
	int target = sock_rcvlowat(sk, flags & MSG_WAITALL, bytes);
	/* SO_PEEK_OFF. */
	u32 peek_offset = max(sk_peek_offset(sk, flags), 0);
	struct vmc_circuit *circuit;
	int received = 0, hole = 0, n;

	for (;;) {
		u32 skip = flags & MSG_PEEK ? peek_offset + received + hole :
					      0;
		u32 span = 0;

		circuit = vmc_sock_circuit(sk);
		if (circuit && circuit->is_mapped)
			return received ?: -EBUSY;
		n = circuit && bytes > received ?
		    receive_urgent(sk, circuit, skip, received, flags, timeo,
				   &span) : 0;
		if (n < 0)
			return received ?: n;
		hole += n;
		if (n)
			continue;
		n = circuit ? receive_some(circuit, msg, skip,
					   min_t(size_t, span,
						 bytes - received), flags) : 0;
		if (n < 0) {
			n = vmc_stream_fault_in(sk, msg, false);
			if (n)
				return received ?: n;
			continue;
		}
		received += n;
		if (flags & MSG_PEEK)
			sk_peek_offset_fwd(sk, n);
		else
			sk_peek_offset_bwd(sk, n);
		if (received >= bytes && received)
			break;
		if (n)
			continue;
		if (received >= target)
			break;
		/* A FIN may be there already, with its bell under way. */
		vmc_sock_update(sk);
		circuit = vmc_sock_circuit(sk);
		if (circuit && vmc_circuit_readable(circuit) > skip) {
			if (!bytes)
				return 0;
			continue;
		}
		if (received) {
			if (sk->sk_err || sk->sk_state == TCP_CLOSE ||
			    (sk->sk_shutdown & RCV_SHUTDOWN) || !timeo ||
			    signal_pending(current))
				break;
			/* A sender without room may sleep until we take some. */
			if (circuit &&
			    !vmc_ring_is_roomy(circuit->rx_bytes -
					       min(skip, circuit->rx_bytes),
					       circuit->rx_bytes))
				break;
		} else {
			n = receive_verdict(sk, timeo);
			if (n <= 0)
				return n;
		}
		n = wait_for_data(sk, skip, &timeo);
		if (n < 0)
			return received ?: n;
		/* Who wants nothing gets it when woken, whatever the reason. */
		if (!bytes)
			return 0;
	}
	return received;
}

/* Owned. What TCP_INQ tells: how much there is to read on, 1 for the end. */
static int unread_hint(struct sock *sk)
{
	struct vmc_circuit *circuit;
	int unread;

	vmc_sock_update(sk);
	circuit = vmc_sock_circuit(sk);
	unread = circuit ? vmc_urgent_readable(sk, circuit) : 0;
	return unread ?: sock_flag(sk, SOCK_DONE);
}

/* Not owned. As TCP: without room it is taken all the same, and lost. */
static int urgent_put(struct msghdr *msg, u8 byte, size_t bytes, int flags)
{
	msg->msg_flags |= MSG_OOB;
	if (!bytes) {
		msg->msg_flags |= MSG_TRUNC;
		return 0;
	}
	if (!(flags & MSG_TRUNC) && memcpy_to_msg(msg, &byte, 1))
		return -EFAULT;
	return 1;
}

static bool wants_time(const struct sock *sk)
{
	return sk->sk_flags & (BIT(SOCK_RCVTSTAMP) |
			       BIT(SOCK_TIMESTAMPING_RX_SOFTWARE));
}

/*
 * The bytes came when the peer wrote them, which nobody has seen: what is told
 * is when they were taken. In the words of the kernel, who knows them all and
 * wants a packet for it; without memory nothing is told.
 */
static void time_put(struct msghdr *msg, struct sock *sk)
{
	struct sk_buff *skb = alloc_skb(0, GFP_KERNEL);

	if (!skb)
		return;
	__net_timestamp(skb);
	sock_recv_timestamp(msg, sk, skb);
	consume_skb(skb);
}

/**
 * vmc_stream_receive - the recv() family of system calls
 * @sock: ours
 * @msg: where to
 * @bytes: room there
 * @flags: MSG_
 *
 * Return: as recvmsg(2); -EBUSY while a program has mapped the circuit.
 */
int vmc_stream_receive(struct socket *sock, struct msghdr *msg, size_t bytes,
		       int flags)
{
	struct sock *sk = sock->sk;
	bool wants_inq;
	u8 urgent = 0;
	int ret;

	if (READ_ONCE(vmc_sk(sk)->is_fallback))
		return fallback_receive(sk, msg, bytes, flags);
	if (unlikely(flags & MSG_ERRQUEUE))
		return vmc_receive_error(sk, msg, bytes);
	lock_sock(sk);
	if (sk->sk_state == TCP_LISTEN)
		ret = -ENOTCONN;
	else if (flags & MSG_OOB)
		ret = vmc_urgent_receive(sk, &urgent, flags);
	else
		ret = circuit_receive(sk, msg, bytes, flags,
				      sock_rcvtimeo(sk, flags & MSG_DONTWAIT));
	wants_inq = tcp_sk(sk)->recvmsg_inq;
	if (ret >= 0 && (wants_inq || msg->msg_get_inq))
		msg->msg_inq = unread_hint(sk);
	release_sock(sk);
	if (ret < 0)
		return ret;
	msg->msg_namelen = 0;
	if (flags & MSG_OOB)
		return ret ? urgent_put(msg, urgent, bytes, flags) : 0;
	if (unlikely(wants_time(sk)) && ret)
		time_put(msg, sk);
	if (wants_inq)
		put_cmsg(msg, SOL_TCP, TCP_CM_INQ, sizeof(msg->msg_inq),
			 &msg->msg_inq);
	return ret;
}
