// SPDX-License-Identifier: GPL-2.0-only
/*
 * Socket options. option_table.h says which are set on our socket and on the
 * shadow, which live in the shadow alone, which are answered from the circuit,
 * and which are refused; here that is done.
 */
#include <linux/net_tstamp.h>
#include <net/tcp.h>
#include "circuit.h"
#include "compat.h"
#include "held.h"
#include "netdev.h"
#include "option.h"
#include "shadow.h"
#include "sockopt.h"
#include "uplink.h"

static int shadow_set(struct sock *sk, int level, int name, sockptr_t value,
		      unsigned int bytes)
{
	struct socket *shadow = vmc_shadow_get(sk);
	int err;

	if (!shadow)
		return -ENOMEM;
	/* "compat" leaves out the cgroup's hook, which has run for us. */
	err = do_sock_setsockopt(shadow, true, level, name, value, bytes);
	if (!err && level != SOL_SOCKET)
		vmc_shadow_copy_options(sk, shadow->sk);
	return err;
}

static int option_set(struct socket *sock, enum vmc_option option, int level,
		      int name, sockptr_t value, unsigned int bytes)
{
	struct sock *sk = sock->sk;
	int err;

	/* A fallback's options of whatever kind are the shadow's, too. */
	if (level != SOL_SOCKET || option == VMC_OPTION_SHADOW)
		return shadow_set(sk, level, name, value, bytes);
	err = sock_setsockopt(sock, level, name, value, bytes);
	/* An accepted circuit needs no shadow for these. */
	if (err || !READ_ONCE(vmc_sk(sk)->shadow))
		return err;
	return shadow_set(sk, level, name, value, bytes);
}

/* What setting an option on a circuit, or what may become one, answers. */
static int circuit_refusal(const struct sock *sk, enum vmc_option option,
			   int level)
{
	switch (option) {
	case VMC_OPTION_REFUSED:
	case VMC_OPTION_NEVER:
		return -EOPNOTSUPP;
	case VMC_OPTION_ABSENT:
		return rcu_access_pointer(vmc_sk(sk)->circuit) ? -ENOENT : 0;
	case VMC_OPTION_UNKNOWN:
		/* Nothing is taken that the table knows no place for. */
		return level == SOL_SOCKET || level == SOL_TCP ||
		       level == SOL_IP || level == SOL_IPV6 ?
		       -ENOPROTOOPT : 0;
	case VMC_OPTION_BOTH:
	case VMC_OPTION_SHADOW:
	case VMC_OPTION_CIRCUIT:
	case VMC_OPTION_UDP:
		break;
	}
	return 0;
}

/*
 * A ring does not tell when its bytes leave or arrive. What a network card
 * would tell (SOF_TIMESTAMPING_TX_HARDWARE) loopback's TCP does not either.
 */
static bool wants_times_of_sending(int level, int name, sockptr_t value,
				   unsigned int bytes)
{
	u32 flags;

	if (level != SOL_SOCKET ||
	    (name != SO_TIMESTAMPING_OLD && name != SO_TIMESTAMPING_NEW) ||
	    bytes < sizeof(flags) ||
	    copy_from_sockptr(&flags, value, sizeof(flags)))
		return false;
	/* To others than the kernel knows it says EINVAL. */
	return !(flags & ~SOF_TIMESTAMPING_MASK) &&
	       flags & (SOF_TIMESTAMPING_TX_SOFTWARE |
			SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_ACK);
}

/* A new SO_SNDBUF bounds what may wait in the ring. Owned. */
static void apply_sndbuf(struct sock *sk)
{
	struct vmc_circuit *circuit = vmc_sock_circuit(sk);

	if (!circuit)
		return;
	vmc_circuit_bound(circuit, sk->sk_sndbuf);
	/* The kernel woke who waits for room before there was any. */
	sk->sk_write_space(sk);
}

/* What else is to be done now that the option has its new value. */
static void option_apply(struct sock *sk, int level, int name)
{
	bool is_sndbuf = level == SOL_SOCKET &&
			 (name == SO_SNDBUF || name == SO_SNDBUFFORCE);

	if (level != SOL_TCP && name != SO_KEEPALIVE && !is_sndbuf)
		return;
	lock_sock(sk);
	if (is_sndbuf)
		apply_sndbuf(sk);
	else
		vmc_uplink_publish(sk);
	if (level == SOL_TCP)
		vmc_held_option(sk, name);
	release_sock(sk);
}

/**
 * vmc_sockopt_set - setsockopt(), all levels
 * @sock: ours
 * @level: SOL_SOCKET, SOL_TCP, …
 * @name: the option
 * @value: unchecked
 * @bytes: its length
 *
 * Return: as setsockopt(2); -EOPNOTSUPP for what a circuit cannot honour,
 * -ENOPROTOOPT for what the table does not know.
 */
int vmc_sockopt_set(struct socket *sock, int level, int name, sockptr_t value,
		    unsigned int bytes)
{
	enum vmc_option option = vmc_option_of_stream(level, name);
	struct sock *sk = sock->sk;
	int err;

	if (option == VMC_OPTION_NEVER ||
	    !READ_ONCE(vmc_sk(sk)->is_fallback)) {
		err = circuit_refusal(sk, option, level);
		if (!err && wants_times_of_sending(level, name, value, bytes))
			err = -EOPNOTSUPP;
		if (err)
			return err;
	}
	err = option_set(sock, option, level, name, value, bytes);
	if (!err)
		option_apply(sk, level, name);
	return err;
}

/**
 * vmc_sockopt_set_rcvlowat - SO_RCVLOWAT, for both sockets
 * @sk: ours, owned
 * @bytes: not negative
 *
 * Bounded as TCP does. Who waits looks again: there may be enough now.
 *
 * Return: 0.
 */
int vmc_sockopt_set_rcvlowat(struct sock *sk, int bytes)
{
	int most = sk->sk_userlocks & SOCK_RCVBUF_LOCK ?
		   sk->sk_rcvbuf :
		   READ_ONCE(sock_net(sk)->ipv4.sysctl_tcp_rmem[2]);
	struct vmc_circuit *circuit = vmc_sock_circuit(sk);

	bytes = min(bytes, most / 2);
	WRITE_ONCE(sk->sk_rcvlowat, bytes ?: 1);
	if (circuit && vmc_circuit_readable_hint(circuit) >= bytes)
		sk->sk_data_ready(sk);
	return 0;
}

/* Under RCU. */
static void tcp_info_fill(const struct sock *sk, struct vmc_circuit *circuit,
			  struct tcp_info *info)
{
	u32 mss = vmc_netdev_mss(sk->sk_family);

	memset(info, 0, sizeof(*info));
	info->tcpi_state = READ_ONCE(sk->sk_state);
	info->tcpi_snd_mss = mss;
	info->tcpi_rcv_mss = mss;
	info->tcpi_advmss = mss;
	info->tcpi_pmtu = vmc_netdev_mtu();
	info->tcpi_snd_cwnd = max(circuit->tx_bytes / mss, 1U);
	info->tcpi_snd_wnd = circuit->tx_bytes;
	info->tcpi_rcv_wnd = circuit->rx_bytes;
	info->tcpi_rcv_space = circuit->rx_bytes;
	info->tcpi_notsent_bytes = circuit->tx_bytes -
				   vmc_circuit_writable_hint(circuit) +
				   READ_ONCE(circuit->held);
}

static int value_put(const void *from, int from_bytes, char __user *value,
		     int __user *bytes)
{
	int room;

	if (get_user(room, bytes))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	room = min(room, from_bytes);
	if (put_user(room, bytes) || copy_to_user(value, from, room))
		return -EFAULT;
	return 0;
}

/* -ENOPROTOOPT: not an option that a circuit answers itself. */
static int circuit_get(struct sock *sk, int level, int name,
		       char __user *value, int __user *bytes)
{
	struct vmc_circuit *circuit;
	struct socket *shadow;
	struct tcp_info info;
	int mss = 0;

	if (vmc_option_of_stream(level, name) != VMC_OPTION_CIRCUIT)
		return -ENOPROTOOPT;
	vmc_sock_refresh(sk);
	rcu_read_lock();
	circuit = rcu_dereference(vmc_sk(sk)->circuit);
	if (circuit) {
		tcp_info_fill(sk, circuit, &info);
		mss = vmc_netdev_mss(sk->sk_family);
	}
	rcu_read_unlock();
	if (name == TCP_MAXSEG)
		return mss ? value_put(&mss, sizeof(mss), value, bytes) :
			     -ENOPROTOOPT;
	if (mss) {
		vmc_uplink_ask(sk, &info);
	} else {
		shadow = vmc_shadow_get(sk);
		if (!shadow)
			return -ENOMEM;
		tcp_get_info(shadow->sk, &info);
		/* It knows nothing of a connect under way. */
		if (!READ_ONCE(vmc_sk(sk)->is_fallback))
			info.tcpi_state = READ_ONCE(sk->sk_state);
	}
	return value_put(&info, sizeof(info), value, bytes);
}

/**
 * vmc_sockopt_get - getsockopt(), all levels but SOL_SOCKET
 * @sock: ours
 * @level: SOL_TCP, SOL_IP, …
 * @name: the option
 * @value: where to
 * @bytes: room there, and how much was put
 *
 * Return: as getsockopt(2).
 */
int vmc_sockopt_get(struct socket *sock, int level, int name,
		    char __user *value, int __user *bytes)
{
	struct socket *shadow;
	int err;

	err = circuit_get(sock->sk, level, name, value, bytes);
	if (err != -ENOPROTOOPT)
		return err;
	shadow = vmc_shadow_get(sock->sk);
	if (!shadow)
		return -ENOMEM;
	return do_sock_getsockopt(shadow, true, level, name,
				  USER_SOCKPTR(value), USER_SOCKPTR(bytes));
}
