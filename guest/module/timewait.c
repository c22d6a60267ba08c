// SPDX-License-Identifier: GPL-2.0-only
/*
 * TIME_WAIT, as far as bind() shows it. A circuit needs none, but a program that
 * binds the name of a connection which its own end has closed first is told
 * EADDRINUSE by TCP for a minute, unless both said SO_REUSEADDR, and some count
 * on it. Here is which names these are: the last of each place, so few places
 * are enough, and entering one costs a connection next to nothing. Called by
 * inet.c and stream.c.
 */
#include <linux/spinlock.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include "netdev.h"
#include "timewait.h"

#define DURATION	(60 * HZ)
#define NR_PLACES	1024U

struct place {
	unsigned long until;		/* jiffies; only if there is a port */
	struct in6_addr address;	/* IPv4 ones are mapped */
	u16 port;			/* 0: nothing rests here */
	bool shares_address;		/* SO_REUSEADDR */
	bool shares_port;		/* SO_REUSEPORT */
};

static struct place places[NR_PLACES];
static DEFINE_SPINLOCK(places_lock);

static struct place *place_of(u16 port)
{
	return &places[port % NR_PLACES];
}

/**
 * vmc_timewait_enter - a connection ends, and this end was the first to say so
 * @sk: owned, with the connection's names
 */
void vmc_timewait_enter(const struct sock *sk)
{
	struct place place = {
		.until = jiffies + DURATION,
		.port = inet_sk(sk)->inet_num,
		.shares_address = sk->sk_reuse,
		.shares_port = sk->sk_reuseport,
	};

	if (sk->sk_family == AF_INET6)
		place.address = sk->sk_v6_rcv_saddr;
	else
		ipv6_addr_set_v4mapped(inet_sk(sk)->inet_rcv_saddr,
				       &place.address);
	spin_lock_bh(&places_lock);
	*place_of(place.port) = place;
	spin_unlock_bh(&places_lock);
}

/* Whether two that have the port get in each other's way. */
static bool is_in_the_way(const struct place *place, const struct sock *sk,
			  const struct in6_addr *address, bool is_v6only)
{
	if ((place->shares_address && sk->sk_reuse) ||
	    (place->shares_port && sk->sk_reuseport))
		return false;
	if (ipv6_addr_any(address))
		return !is_v6only || !ipv6_addr_v4mapped(&place->address);
	if (ipv6_addr_v4mapped(address) && !address->s6_addr32[3])
		return ipv6_addr_v4mapped(&place->address);
	return ipv6_addr_equal(address, &place->address);
}

/* False if bind() has another answer to it. */
static bool name_read(const struct sock *sk, const void *addr, int addr_bytes,
		      struct in6_addr *ret_address, u16 *ret_port)
{
	const struct sockaddr_in6 *in6 = addr;
	const struct sockaddr_in *in = addr;
	struct net *net = sock_net(sk);

	if (sk->sk_family == AF_INET6) {
		if (addr_bytes < SIN6_LEN_RFC2133 ||
		    in6->sin6_family != AF_INET6)
			return false;
		*ret_address = in6->sin6_addr;
		*ret_port = ntohs(in6->sin6_port);
	} else {
		if (addr_bytes < (int)sizeof(*in) || in->sin_family != AF_INET)
			return false;
		ipv6_addr_set_v4mapped(in->sin_addr.s_addr, ret_address);
		*ret_port = ntohs(in->sin_port);
	}
	return !inet_port_requires_bind_service(net, *ret_port) ||
	       ns_capable(net->user_ns, CAP_NET_BIND_SERVICE);
}

/**
 * vmc_timewait_forbids - whether bind() shall answer EADDRINUSE
 * @sk: ours, owned
 * @tcp: its shadow
 * @addr: bind()'s, in the kernel's memory, else unchecked
 * @addr_bytes: its length
 */
bool vmc_timewait_forbids(const struct sock *sk, const struct sock *tcp,
			  const void *addr, int addr_bytes)
{
	struct in6_addr address;
	struct place place;
	u16 port;

	/* Circuits are in one namespace only. */
	if (inet_sk(tcp)->inet_num ||
	    !net_eq(sock_net(sk), vmc_netdev_net()) ||
	    !name_read(sk, addr, addr_bytes, &address, &port) || !port)
		return false;
	spin_lock_bh(&places_lock);
	place = *place_of(port);
	spin_unlock_bh(&places_lock);
	return place.port == port && time_before(jiffies, place.until) &&
	       is_in_the_way(&place, sk, &address, ipv6_only_sock(tcp));
}

/**
 * vmc_timewait_forget - the kernel has chosen a port for somebody
 * @port: which; TCP would have chosen one that rests nowhere
 */
void vmc_timewait_forget(u16 port)
{
	struct place *place = place_of(port);

	spin_lock_bh(&places_lock);
	if (place->port == port)
		place->port = 0;
	spin_unlock_bh(&places_lock);
}
