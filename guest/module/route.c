// SPDX-License-Identifier: GPL-2.0-only
/*
 * Circuit or TCP? The route table decides: a route through circuit0 is a
 * circuit, a local destination is one if net.vmcircuit.local says so, all else
 * is TCP. Whatever is odd about an address is left to TCP, which knows the
 * errno for it.
 */
#include <linux/sysctl.h>
#include <net/addrconf.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/route.h>
#include "attach.h"
#include "netdev.h"
#include "route.h"
#include "stats.h"

static u8 local_circuits;
static struct ctl_table_header *sysctl_header;

static struct ctl_table route_sysctls[] = {
	{
		.procname	= "local",
		.data		= &local_circuits,
		.maxlen		= sizeof(u8),
		.mode		= 0644,
		.proc_handler	= proc_dou8vec_minmax,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_ONE,
	},
};

/**
 * vmc_route_init - offer the sysctl
 *
 * Return: 0 or -ENOMEM.
 */
int vmc_route_init(void)
{
	sysctl_header = register_net_sysctl_sz(&init_net, "net/vmcircuit",
					       route_sysctls,
					       ARRAY_SIZE(route_sysctls));
	return sysctl_header ? 0 : -ENOMEM;
}

/**
 * vmc_route_exit - undo vmc_route_init()
 */
void vmc_route_exit(void)
{
	unregister_net_sysctl_table(sysctl_header);
}

static void name_set(struct vmc_name *name, u8 family, const void *address,
		     unsigned int bytes, u16 port)
{
	memset(name, 0, sizeof(*name));
	memcpy(name->address, address, bytes);
	name->family = family;
	name->port = cpu_to_le16(port);
}

/* True: a circuit, if the device is ours or the destination is local. */
static bool device_is_circuit(const struct net_device *dev, bool is_local)
{
	if (is_local) {
		if (READ_ONCE(local_circuits))
			return true;
		vmc_stat_inc(fallback_local);
		return false;
	}
	if (vmc_netdev_is(dev))
		return true;
	vmc_stat_inc(fallback_no_route);
	return false;
}

static bool route_inet(struct sock *sk, __be32 daddr, u16 dport,
		       struct vmc_names *names)
{
	const struct sock *tcp = vmc_sk(sk)->shadow->sk;
	const struct inet_sock *inet = inet_sk(tcp);
	struct flowi4 fl4;
	struct rtable *rt;
	bool is_circuit;

	flowi4_init_output(&fl4, tcp->sk_bound_dev_if, READ_ONCE(tcp->sk_mark),
			   ip_sock_rt_tos(tcp), ip_sock_rt_scope(tcp),
			   IPPROTO_TCP, inet_sk_flowi_flags(tcp), daddr,
			   inet->inet_saddr, htons(dport), inet->inet_sport,
			   tcp->sk_uid);
	rt = ip_route_output_key(sock_net(sk), &fl4);
	if (IS_ERR(rt)) {
		vmc_stat_inc(fallback_no_route);
		return false;
	}
	is_circuit = (rt->rt_type == RTN_UNICAST || rt->rt_type == RTN_LOCAL) &&
		     device_is_circuit(rt->dst.dev, rt->rt_type == RTN_LOCAL);
	ip_rt_put(rt);
	name_set(&names->local, VMC_FAMILY_INET, &fl4.saddr, 4, 0);
	name_set(&names->remote, VMC_FAMILY_INET, &fl4.daddr, 4, dport);
	return is_circuit;
}

static bool route_inet6(struct sock *sk, const struct in6_addr *daddr,
			u16 dport, struct vmc_names *names)
{
	const struct sock *tcp = vmc_sk(sk)->shadow->sk;
	struct in6_addr saddr = tcp->sk_v6_rcv_saddr;
	struct flowi6 fl6 = {
		.flowi6_oif = tcp->sk_bound_dev_if,
		.flowi6_mark = READ_ONCE(tcp->sk_mark),
		.flowi6_proto = IPPROTO_TCP,
		.flowi6_uid = tcp->sk_uid,
		.daddr = ipv6_addr_any(daddr) ? in6addr_loopback : *daddr,
		.saddr = saddr,
		.fl6_dport = htons(dport),
	};
	struct dst_entry *dst;
	bool is_circuit = false;

	/* A scope would have to be told to the peer; nobody needs it. */
	if (ipv6_addr_type(&fl6.daddr) & (IPV6_ADDR_LINKLOCAL |
					  IPV6_ADDR_MULTICAST)) {
		vmc_stat_inc(fallback_no_route);
		return false;
	}
	dst = ip6_route_output(sock_net(sk), NULL, &fl6);
	if (dst->error)
		vmc_stat_inc(fallback_no_route);
	else
		is_circuit = device_is_circuit(dst->dev,
			dst_rt6_info(dst)->rt6i_flags & RTF_LOCAL);
	if (is_circuit && ipv6_addr_any(&saddr) &&
	    ipv6_dev_get_saddr(sock_net(sk), dst->dev, &fl6.daddr,
			       inet6_sk(tcp)->srcprefs, &saddr))
		is_circuit = false;
	dst_release(dst);
	name_set(&names->local, VMC_FAMILY_INET6, &saddr, 16, 0);
	name_set(&names->remote, VMC_FAMILY_INET6, &fl6.daddr, 16, dport);
	return is_circuit;
}

static bool route_addr(struct sock *sk, const struct sockaddr_storage *addr,
		       int addr_bytes, struct vmc_names *names)
{
	const struct sockaddr_in6 *sin6 = (const void *)addr;
	const struct sockaddr_in *sin = (const void *)addr;

	if (addr->ss_family == AF_INET && addr_bytes >= sizeof(*sin) &&
	    sk->sk_family == AF_INET)
		return route_inet(sk, sin->sin_addr.s_addr,
				  ntohs(sin->sin_port), names);
	if (addr->ss_family != AF_INET6 || addr_bytes < SIN6_LEN_RFC2133 ||
	    sk->sk_family != AF_INET6)
		return false;
	if (!ipv6_addr_v4mapped(&sin6->sin6_addr))
		return route_inet6(sk, &sin6->sin6_addr,
				   ntohs(sin6->sin6_port), names);
	if (ipv6_only_sock(vmc_sk(sk)->shadow->sk))
		return false;
	return route_inet(sk, sin6->sin6_addr.s6_addr32[3],
			  ntohs(sin6->sin6_port), names);
}

/**
 * vmc_route_find - how shall this socket reach that address?
 * @sk: locked, with a shadow
 * @addr: from connect()
 * @addr_bytes: its length, not negative
 * @ret_names: for a circuit: both names, but for the local port
 *
 * Counts the reason when it is TCP. May sleep.
 */
enum vmc_route vmc_route_find(struct sock *sk, const vmc_sockaddr *addr,
			      int addr_bytes, struct vmc_names *ret_names)
{
	const struct sockaddr_storage *storage = (const void *)addr;

	if (!net_eq(sock_net(sk), vmc_netdev_net())) {
		vmc_stat_inc(fallback_namespace);
		return VMC_ROUTE_TCP;
	}
	if (!route_addr(sk, storage, addr_bytes, ret_names))
		return VMC_ROUTE_TCP;
	if (!vmc_attach_generation()) {
		vmc_stat_inc(fallback_switch_gone);
		return VMC_ROUTE_TCP;
	}
	return VMC_ROUTE_CIRCUIT;
}

/**
 * vmc_route_may_listen - whether circuits can come to this listener
 * @sk: ours
 *
 * Not in another network namespace, nor when it is bound to another device.
 */
bool vmc_route_may_listen(const struct sock *sk)
{
	int bound = READ_ONCE(sk->sk_bound_dev_if);

	return net_eq(sock_net(sk), vmc_netdev_net()) &&
	       (!bound || bound == vmc_netdev_ifindex());
}

/**
 * vmc_route_local_name - the name that a TCP socket is bound to
 * @tcp: bound
 * @ret_name: as the wire has it
 */
void vmc_route_local_name(const struct sock *tcp, struct vmc_name *ret_name)
{
	const struct inet_sock *inet = inet_sk(tcp);

	if (tcp->sk_family == AF_INET6 &&
	    !ipv6_addr_v4mapped(&tcp->sk_v6_rcv_saddr))
		name_set(ret_name, VMC_FAMILY_INET6, &tcp->sk_v6_rcv_saddr, 16,
			 inet->inet_num);
	else
		name_set(ret_name, VMC_FAMILY_INET, &inet->inet_rcv_saddr, 4,
			 inet->inet_num);
}
