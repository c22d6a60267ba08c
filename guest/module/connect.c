// SPDX-License-Identifier: GPL-2.0-only
/*
 * connect(): circuit or TCP, the request to the switch, its answer, giving up.
 *
 * The states of struct socket and the waiting are the kernel's own
 * (__inet_stream_connect()); it calls vmc_connect_dial() where TCP would send
 * its SYN, and looks at sk_state as it does for TCP.
 */
#include <linux/xarray.h>
#include <net/inet_common.h>
#include <net/tcp_states.h>
#include "attach.h"
#include "circuit.h"
#include "connect.h"
#include "link.h"
#include "request.h"
#include "route.h"
#include "shadow.h"
#include "spin.h"
#include "stats.h"

/*
 * Connects under way, by cookie; each entry holds a reference to its socket.
 * Who erases the entry decides how the connect ends.
 */
static DEFINE_XARRAY_FLAGS(connects, XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_BH);
static u32 next_cookie;

/* More than this many SYNs would last longer than anybody waits: 36 hours. */
#define MAX_SYN_RETRIES 16U

/* Owned, or spinlock held. The connect ends without a circuit. */
static void connect_end(struct sock *sk, int error)
{
	vmc_sk(sk)->cookie = 0;
	sk_stop_timer(sk, &sk->sk_timer);
	vmc_attach_drop();
	WRITE_ONCE(sk->sk_err, error);
	WRITE_ONCE(sk->sk_shutdown, SHUTDOWN_MASK);
	inet_sk_set_state(sk, TCP_CLOSE);
	sk->sk_state_change(sk);
	sk_error_report(sk);
}

/**
 * vmc_connect_timeout - nobody answered
 * @timer: a socket's sk_timer
 */
void vmc_connect_timeout(struct timer_list *timer)
{
	struct sock *sk = from_timer(sk, timer, sk_timer);
	struct vmc_cancel cancel = { };

	bh_lock_sock(sk);
	if (sock_owned_by_user(sk)) {
		vmc_sock_set_timer(sk, &sk->sk_timer, jiffies + HZ / 20);
	} else if (sk->sk_state == TCP_SYN_SENT &&
		   xa_erase(&connects, vmc_sk(sk)->cookie)) {
		cancel.cookie = cpu_to_le32(vmc_sk(sk)->cookie);
		/* If this is lost, a late CONNECTED is rejected instead. */
		vmc_request_send(vmc_sk(sk)->attachment, VMC_MSG_CANCEL,
				&cancel, GFP_ATOMIC);
		connect_end(sk, ETIMEDOUT);
		__sock_put(sk);
	}
	bh_unlock_sock(sk);
	sock_put(sk);
}

/*
 * How long TCP would try: a SYN each second for tcp_syn_linear_timeouts, then
 * after 1, 2, 4… seconds as often as TCP_SYNCNT or the sysctl says, and no
 * longer than TCP_USER_TIMEOUT.
 */
static unsigned long connect_patience(const struct sock *sk)
{
	const struct inet_connection_sock *tcp =
		inet_csk(vmc_sk(sk)->shadow->sk);
	unsigned int retries, user_ms, ms;

	retries = READ_ONCE(tcp->icsk_syn_retries) ?:
		  READ_ONCE(sock_net(sk)->ipv4.sysctl_tcp_syn_retries);
	ms = ((2U << min(retries, MAX_SYN_RETRIES)) - 1 +
	      READ_ONCE(sock_net(sk)->ipv4.sysctl_tcp_syn_linear_timeouts)) *
	     MSEC_PER_SEC;
	user_ms = READ_ONCE(tcp->icsk_user_timeout);
	return msecs_to_jiffies(user_ms ? min(ms, user_ms) : ms);
}

/*
 * The request is in the table and on its way, or nothing has happened. The
 * switch may go meanwhile: either it went before the check and we see that, or
 * vmc_connect_fail_all() comes after it and sees the entry.
 */
static int connect_request(struct sock *sk)
{
	struct vmc_sock *vs = vmc_sk(sk);
	struct vmc_connect request = {
		.tx_bytes = cpu_to_le32(vmc_sock_wished_tx(sk)),
		.rx_bytes = cpu_to_le32(vmc_sock_wished_rx(sk)),
		.local = vs->dial.local,
		.remote = vs->dial.remote,
	};
	int err;

	sock_hold(sk);
	err = xa_alloc_cyclic_bh(&connects, &vs->cookie, sk, xa_limit_31b,
				 &next_cookie, GFP_KERNEL);
	if (err < 0)
		goto put_sock;
	request.cookie = cpu_to_le32(vs->cookie);
	err = -ESTALE;
	smp_mb();
	if (vmc_attach_generation() == vs->attachment)
		err = vmc_request_send(vs->attachment, VMC_MSG_CONNECT, &request,
				      GFP_KERNEL);
	if (!err)
		return 0;
	/* Whoever erased it has left us the answer, which is as good. */
	if (!xa_erase_bh(&connects, vs->cookie))
		return 0;
	err = err == -ENOBUFS ? err : -ENETUNREACH;
put_sock:
	__sock_put(sk);
	return err;
}

static bool is_answered(struct sock *sk, u32 unused)
{
	return test_bit(VMC_DEFERRED_ANSWER, &vmc_sk(sk)->deferred);
}

/**
 * vmc_connect_dial - ask the switch for a circuit
 * @sk: owned
 * @addr: not looked at, vmc_connect() put the names into vmc_sock.dial
 * @addr_bytes: likewise
 *
 * Called by __inet_stream_connect(), as TCP's connect is.
 *
 * Return: 0 when the request is on its way, -EADDRNOTAVAIL without a free
 * port, -ENOMEM, -ENOBUFS when the switch does not keep up, -ENETUNREACH when
 * it has gone meanwhile.
 */
int vmc_connect_dial(struct sock *sk, vmc_sockaddr *addr, int addr_bytes)
{
	struct vmc_sock *vs = vmc_sk(sk);
	int err, port;

	port = vmc_shadow_take_port(sk);
	if (port < 0)
		return port;
	vs->dial.local.port = cpu_to_le16(port);
	vs->attachment = vmc_attach_generation();
	WRITE_ONCE(sk->sk_err, 0);
	vmc_sock_set_names(sk, &vs->dial);
	inet_sk_set_state(sk, TCP_SYN_SENT);
	sk->sk_timer.function = vmc_connect_timeout;
	vmc_sock_set_timer(sk, &sk->sk_timer, jiffies + connect_patience(sk));
	vmc_attach_hold();
	err = connect_request(sk);
	if (!err) {
		if (vs->is_patient && vmc_spin_may() &&
		    vmc_spin(sk, is_answered, 0))
			vmc_connect_run_deferred(sk);
		return 0;
	}
	vmc_attach_drop();
	sk_stop_timer(sk, &sk->sk_timer);
	inet_sk_set_state(sk, TCP_CLOSE);
	vmc_sock_clear_names(sk);
	vmc_shadow_give_port(sk);
	return err;
}

static void connect_choose(struct sock *sk, vmc_sockaddr *addr, int addr_bytes)
{
	if (vmc_route_find(sk, addr, addr_bytes, &vmc_sk(sk)->dial) ==
	    VMC_ROUTE_TCP)
		vmc_shadow_carry(sk);
	else
		WRITE_ONCE(vmc_sk(sk)->is_fallback, false);
}

/**
 * vmc_connect - the connect() system call
 * @sock: ours
 * @addr: unchecked
 * @addr_bytes: its length
 * @flags: O_NONBLOCK
 *
 * Return: as connect(2); -EBUSY for AF_UNSPEC while a program has mapped the
 * circuit.
 */
int vmc_connect(struct socket *sock, vmc_sockaddr *addr, int addr_bytes,
		int flags)
{
	struct sock *sk = sock->sk;
	struct vmc_sock *vs = vmc_sk(sk);
	const struct sockaddr *generic = (const void *)addr;
	struct socket *shadow;
	int err;

	if (addr_bytes < sizeof(generic->sa_family))
		return -EINVAL;
	shadow = vmc_shadow_get(sk);
	if (!shadow)
		return -ENOMEM;
	lock_sock(sk);
	/* inet_disconnect() would refuse, and leave a state of its own. */
	if (generic->sa_family == AF_UNSPEC && vs->mapping) {
		release_sock(sk);
		return -EBUSY;
	}
	if (sock->state == SS_UNCONNECTED && sk->sk_state == TCP_CLOSE &&
	    shadow->state == SS_UNCONNECTED &&
	    generic->sa_family != AF_UNSPEC)
		connect_choose(sk, addr, addr_bytes);
	if (!vs->is_fallback) {
		vs->is_patient = !(flags & O_NONBLOCK);
		err = __inet_stream_connect(sock, (void *)addr, addr_bytes,
					    flags, 0);
		release_sock(sk);
		return err;
	}
	release_sock(sk);
	vmc_shadow_sync_error(sk);
	err = READ_ONCE(shadow->ops)->connect(shadow, addr, addr_bytes, flags);
	vmc_shadow_sync_error(sk);
	return err;
}

/*
 * Owned, or spinlock held: the connect is answered. The socket has its circuit
 * already, unless the answer is an error.
 */
static void connect_take_answer(struct sock *sk)
{
	struct vmc_sock *vs = vmc_sk(sk);

	if (sk->sk_state != TCP_SYN_SENT)
		return;
	if (vs->answer_error) {
		connect_end(sk, vs->answer_error);
		return;
	}
	vs->cookie = 0;
	sk_stop_timer(sk, &sk->sk_timer);
	vmc_attach_drop();
	vmc_sock_establish(sk);
	sk->sk_state_change(sk);
	sk_wake_async(sk, SOCK_WAKE_IO, POLL_OUT);
}

/* A reference to the socket whose connect this is, or NULL. */
static struct sock *connect_find(u32 cookie)
{
	struct sock *sk;

	rcu_read_lock();
	sk = xa_load(&connects, cookie);
	if (sk && !refcount_inc_not_zero(&sk->sk_refcnt))
		sk = NULL;
	rcu_read_unlock();
	return sk;
}

/*
 * Gives the socket its answer and, if there is one, its circuit; false if it
 * waits for that no more, or the circuit's link is dead: link_kill() looks for
 * circuits under the socket's spinlock, so it sees this one or we see the flag.
 */
static bool connect_give(struct sock *sk, u32 cookie,
			 struct vmc_circuit *circuit, int error)
{
	struct vmc_sock *vs = vmc_sk(sk);
	bool is_wanted;

	local_bh_disable();
	bh_lock_sock(sk);
	is_wanted = sk->sk_state == TCP_SYN_SENT && vs->cookie == cookie &&
		    !(circuit && READ_ONCE(circuit->link->is_dead)) &&
		    xa_erase(&connects, cookie);
	if (is_wanted) {
		__sock_put(sk);		/* the table's */
		vs->answer_error = error;
		if (circuit)
			rcu_assign_pointer(vs->circuit, circuit);
		if (sock_owned_by_user(sk))
			set_bit(VMC_DEFERRED_ANSWER, &vs->deferred);
		else
			connect_take_answer(sk);
	}
	bh_unlock_sock(sk);
	local_bh_enable();
	return is_wanted;
}

/**
 * vmc_connect_answered - CONNECTED came
 * @answer: unchecked
 *
 * Device's worker, or bottom halves.
 *
 * Return: false if nothing was done; vmc_connect_reject() shall follow.
 */
bool vmc_connect_answered(const struct vmc_connected *answer)
{
	u32 cookie = le32_to_cpu(answer->cookie);
	struct sock *sk = connect_find(cookie);
	struct vmc_circuit *circuit;
	bool is_given = false;

	if (!sk)
		return false;
	circuit = vmc_circuit_create(&answer->id, &answer->place,
				     &vmc_sock_circuit_user, sk, GFP_ATOMIC);
	if (!IS_ERR(circuit)) {
		vmc_stat_inc(circuits_connected);
		is_given = connect_give(sk, cookie, circuit, 0);
		if (!is_given)
			vmc_circuit_release(circuit);
	}
	sock_put(sk);
	return is_given;
}

/**
 * vmc_connect_reject - CONNECTED came and cannot be taken
 * @answer: unchecked
 * @attachment: now
 *
 * Because the connect was given up and our CANCEL crossed with the answer, or
 * for want of memory. Device's worker.
 */
void vmc_connect_reject(const struct vmc_connected *answer, u32 attachment)
{
	struct sock *sk = connect_find(le32_to_cpu(answer->cookie));

	vmc_circuit_reject(&answer->id, attachment);
	if (!sk)
		return;
	connect_give(sk, le32_to_cpu(answer->cookie), NULL, ENOBUFS);
	sock_put(sk);
}

/**
 * vmc_connect_run_deferred - take an answer that came while we owned the socket
 * @sk: as in vmc_sock_run_deferred()
 */
void vmc_connect_run_deferred(struct sock *sk)
{
	if (test_and_clear_bit(VMC_DEFERRED_ANSWER, &vmc_sk(sk)->deferred))
		connect_take_answer(sk);
}

/**
 * vmc_connect_failed - FAILED came
 * @cookie: unchecked
 * @error: positive errno
 *
 * Device's worker, or bottom halves.
 */
void vmc_connect_failed(u32 cookie, int error)
{
	struct sock *sk = connect_find(cookie);

	vmc_stat_inc(connects_failed);
	if (!sk)
		return;
	connect_give(sk, cookie, NULL, error);
	sock_put(sk);
}

/**
 * vmc_connect_fail_all - the switch is gone
 * @error: positive errno for each connect under way
 *
 * Device's worker.
 */
void vmc_connect_fail_all(int error)
{
	unsigned long cookie;
	struct sock *sk;

	xa_for_each(&connects, cookie, sk)
		vmc_connect_failed(cookie, error);
}

/**
 * vmc_connect_cancel - the socket gives its connect up
 * @sk: owned, in TCP_SYN_SENT; may sleep
 *
 * If the answer was faster the socket has a circuit, which the caller lets go.
 */
void vmc_connect_cancel(struct sock *sk)
{
	struct vmc_sock *vs = vmc_sk(sk);
	struct vmc_cancel cancel = { .cookie = cpu_to_le32(vs->cookie) };

	sk_stop_timer(sk, &sk->sk_timer);
	vmc_attach_drop();
	if (xa_erase_bh(&connects, vs->cookie)) {
		vmc_request_send(vs->attachment, VMC_MSG_CANCEL, &cancel,
				GFP_KERNEL);
		__sock_put(sk);
	}
	/* From here on the worker finds that nobody waits. */
	spin_lock_bh(&sk->sk_lock.slock);
	inet_sk_set_state(sk, TCP_CLOSE);
	clear_bit(VMC_DEFERRED_ANSWER, &vs->deferred);
	spin_unlock_bh(&sk->sk_lock.slock);
}
