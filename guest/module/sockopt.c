// SPDX-License-Identifier: GPL-2.0-only
/*
 * Socket options. SOL_SOCKET options are set on our socket and on the shadow;
 * all others live in the shadow, which knows them and their errnos; a few are
 * answered from the circuit, and the few that a circuit cannot honour are
 * refused.
 */
#include <net/tcp.h>
#include "circuit.h"
#include "compat.h"
#include "netdev.h"
#include "shadow.h"
#include "sockopt.h"
#include "uplink.h"

/*
 * Options of packets; a circuit has none, so they would do nothing. Those that
 * promise authentication must not be promised.
 */
static bool is_refused(int level, int name)
{
	switch (level) {
	case SOL_TCP:
		return name == TCP_REPAIR || name == TCP_MD5SIG ||
		       name == TCP_MD5SIG_EXT || name == TCP_AO_ADD_KEY ||
		       name == TCP_AO_DEL_KEY || name == TCP_AO_INFO;
	case SOL_IP:
		return name == IP_MINTTL;
	case SOL_IPV6:
		return name == IPV6_MINHOPCOUNT;
	case SOL_SOCKET:
		break;
	default:
		return false;
	}
	switch (name) {
	case SO_ZEROCOPY:
	case SO_TXTIME:
	case SO_TIMESTAMP_OLD:
	case SO_TIMESTAMP_NEW:
	case SO_TIMESTAMPNS_OLD:
	case SO_TIMESTAMPNS_NEW:
	case SO_TIMESTAMPING_OLD:
	case SO_TIMESTAMPING_NEW:
	case SO_ATTACH_FILTER:
	case SO_ATTACH_BPF:
	case SO_MAX_PACING_RATE:
		return true;
	default:
		return false;
	}
}

/* Options that only the socket which holds the port can take. */
static bool is_shadow_only(int name)
{
	return name == SO_ATTACH_REUSEPORT_CBPF ||
	       name == SO_ATTACH_REUSEPORT_EBPF ||
	       name == SO_DETACH_REUSEPORT_BPF;
}

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

static int option_set(struct socket *sock, int level, int name,
		      sockptr_t value, unsigned int bytes)
{
	struct sock *sk = sock->sk;
	int err;

	if (level != SOL_SOCKET || is_shadow_only(name))
		return shadow_set(sk, level, name, value, bytes);
	err = sock_setsockopt(sock, level, name, value, bytes);
	/* An accepted circuit needs no shadow for these. */
	if (err || !READ_ONCE(vmc_sk(sk)->shadow))
		return err;
	return shadow_set(sk, level, name, value, bytes);
}

/**
 * vmc_sockopt_set - setsockopt(), all levels
 * @sock: ours
 * @level: SOL_SOCKET, SOL_TCP, …
 * @name: the option
 * @value: unchecked
 * @bytes: its length
 *
 * Return: as setsockopt(2); -EOPNOTSUPP for what a circuit cannot honour.
 */
int vmc_sockopt_set(struct socket *sock, int level, int name, sockptr_t value,
		    unsigned int bytes)
{
	struct sock *sk = sock->sk;
	int err;

	if (!READ_ONCE(vmc_sk(sk)->is_fallback)) {
		if (is_refused(level, name))
			return -EOPNOTSUPP;
		/* As if there were none: OpenSSL then does TLS itself. */
		if (level == SOL_TCP && name == TCP_ULP &&
		    sk->sk_state == TCP_ESTABLISHED)
			return -ENOENT;
	}
	err = option_set(sock, level, name, value, bytes);
	if (!err && (level == SOL_TCP || name == SO_KEEPALIVE)) {
		lock_sock(sk);
		vmc_uplink_publish(sk);
		release_sock(sk);
	}
	return err;
}

static u32 circuit_mss(const struct sock *sk)
{
	return vmc_netdev_mtu() - sizeof(struct tcphdr) -
	       (sk->sk_family == AF_INET6 ? sizeof(struct ipv6hdr) :
					    sizeof(struct iphdr));
}

/* Under RCU. */
static void tcp_info_fill(const struct sock *sk, struct vmc_circuit *circuit,
			  struct tcp_info *info)
{
	u32 mss = circuit_mss(sk);

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
				   vmc_circuit_writable_hint(circuit);
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

	if (level != SOL_TCP || (name != TCP_INFO && name != TCP_MAXSEG))
		return -ENOPROTOOPT;
	rcu_read_lock();
	circuit = rcu_dereference(vmc_sk(sk)->circuit);
	if (circuit) {
		tcp_info_fill(sk, circuit, &info);
		mss = circuit_mss(sk);
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
