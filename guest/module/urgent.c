// SPDX-License-Identifier: GPL-2.0-only
/*
 * Urgent data, as TCP has it: one byte of the stream that the sender marks, of
 * which the receiver hears at once (SIGURG, EPOLLPRI), and which it reads with
 * MSG_OOB, or in its place with SO_OOBINLINE. The mark is an index in the
 * sender's control page. Called by stream.c, receive.c, poll.c and, for news,
 * by sock.c.
 *
 * A peer may mark what it likes: a mark outside of the ring is nothing.
 */
#include <net/tcp_states.h>
#include "circuit.h"
#include "link.h"
#include "ring_copy.h"
#include "sock.h"
#include "urgent.h"

/**
 * vmc_urgent_reset - the socket has another circuit, or none
 * @sk: owned, or not yet visible
 */
void vmc_urgent_reset(struct sock *sk)
{
	vmc_sk(sk)->urgent = VMC_URGENT_NONE;
	vmc_sk(sk)->urgent_heard = 0;
}

/**
 * vmc_urgent_mark - the last of the next bytes is urgent
 * @circuit: its socket owned
 * @bytes: that vmc_circuit_produce() is about to give the peer
 *
 * An index of 0 would say nothing, so one byte in 4 GiB cannot be marked.
 */
void vmc_urgent_mark(struct vmc_circuit *circuit, u32 bytes)
{
	WRITE_ONCE(circuit->own->urgent, cpu_to_le32(circuit->prod + bytes));
}

/**
 * vmc_urgent_notice - see whether the peer has marked something
 * @sk: owned, or its spinlock held
 * @circuit: its circuit
 */
void vmc_urgent_notice(struct sock *sk, struct vmc_circuit *circuit)
{
	u32 raw = le32_to_cpu(READ_ONCE(circuit->peer->urgent));
	struct vmc_sock *vs = vmc_sk(sk);

	if (likely(raw == vs->urgent_heard) || circuit->is_mapped)
		return;
	vs->urgent_heard = raw;
	/* Read already, before the mark was seen, or nowhere at all. */
	if (!raw || raw - 1 - circuit->cons >= circuit->rx_bytes)
		return;
	WRITE_ONCE(vs->urgent_index, raw - 1);
	smp_store_release(&vs->urgent, VMC_URGENT_UNREAD);
	sk_send_sigurg(sk);
}

/* How far the mark is behind the read index; beyond any ring without one. */
static u32 distance(const struct sock *sk, const struct vmc_circuit *circuit)
{
	if (smp_load_acquire(&vmc_sk(sk)->urgent) == VMC_URGENT_NONE)
		return U32_MAX;
	return READ_ONCE(vmc_sk(sk)->urgent_index) -
	       READ_ONCE(circuit->cons);
}

/**
 * vmc_urgent_span - how far a receiver may go at once
 * @sk: owned
 * @circuit: its circuit
 * @skip: bytes that it has seen (MSG_PEEK) and not taken
 * @fill: bytes in the ring
 * @ret_bytes: how many there are after @skip and before the mark, or at all
 */
enum vmc_urgent_place vmc_urgent_span(struct sock *sk,
				      const struct vmc_circuit *circuit,
				      u32 skip, u32 fill, u32 *ret_bytes)
{
	struct vmc_sock *vs = vmc_sk(sk);
	u32 ahead = distance(sk, circuit);

	*ret_bytes = fill > skip ? fill - skip : 0;
	if (ahead >= circuit->rx_bytes) {
		if (vs->urgent != VMC_URGENT_NONE)	/* passed */
			WRITE_ONCE(vs->urgent, VMC_URGENT_NONE);
		return VMC_URGENT_ELSEWHERE;
	}
	if (ahead == skip)
		return VMC_URGENT_HERE;
	if (ahead > skip)
		*ret_bytes = min(*ret_bytes, ahead - skip);
	return VMC_URGENT_ELSEWHERE;
}

/**
 * vmc_urgent_is_out_of_band - whether the urgent byte is no part of the stream
 * @sk: any
 */
bool vmc_urgent_is_out_of_band(const struct sock *sk)
{
	return !sock_flag(sk, SOCK_URGINLINE);
}

/**
 * vmc_urgent_is_unread - whether poll() tells EPOLLPRI
 * @sk: not owned; what it says is a hint
 * @circuit: its circuit, under RCU
 */
bool vmc_urgent_is_unread(const struct sock *sk,
			  const struct vmc_circuit *circuit)
{
	return READ_ONCE(vmc_sk(sk)->urgent) == VMC_URGENT_UNREAD &&
	       distance(sk, circuit) < vmc_circuit_readable_hint(circuit);
}

/**
 * vmc_urgent_is_next - whether a reader would meet the urgent byte first
 * @sk: not owned: a hint, else the truth
 * @circuit: its circuit
 */
bool vmc_urgent_is_next(const struct sock *sk,
			const struct vmc_circuit *circuit)
{
	return !distance(sk, circuit);
}

/**
 * vmc_urgent_readable - what FIONREAD tells
 * @sk: owned
 * @circuit: its circuit
 *
 * Return: all bytes, or those before a byte that is read out of band.
 */
u32 vmc_urgent_readable(const struct sock *sk, struct vmc_circuit *circuit)
{
	u32 fill = vmc_circuit_readable(circuit);

	return vmc_urgent_is_out_of_band(sk) ?
	       min(fill, distance(sk, circuit)) : fill;
}

/**
 * vmc_urgent_receive - take the urgent byte (MSG_OOB)
 * @sk: owned
 * @ret_byte: it
 * @flags: MSG_
 *
 * It stays in the ring, where reading passes over it.
 *
 * Return: 1, 0 at the end, -EINVAL when there is none or it was read,
 * -EAGAIN when it is under way, -ENOTCONN.
 */
int vmc_urgent_receive(struct sock *sk, u8 *ret_byte, int flags)
{
	struct vmc_circuit *circuit;
	u32 ahead;

	vmc_sock_update(sk);
	circuit = vmc_sock_circuit(sk);
	if (!vmc_urgent_is_out_of_band(sk) || !circuit ||
	    vmc_sk(sk)->urgent != VMC_URGENT_UNREAD)
		return -EINVAL;
	if (sk->sk_state == TCP_CLOSE && !sock_flag(sk, SOCK_DONE))
		return -ENOTCONN;
	ahead = distance(sk, circuit);
	if (ahead >= circuit->rx_bytes)
		return -EINVAL;		/* passed */
	if (ahead >= vmc_circuit_readable(circuit))
		return sk->sk_shutdown & RCV_SHUTDOWN ? 0 : -EAGAIN;
	*ret_byte = READ_ONCE(circuit->rx[(circuit->cons + ahead) &
					  (circuit->rx_bytes - 1)]);
	if (!(flags & MSG_PEEK))
		WRITE_ONCE(vmc_sk(sk)->urgent, VMC_URGENT_READ);
	return 1;
}
