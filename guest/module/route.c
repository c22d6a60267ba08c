// SPDX-License-Identifier: GPL-2.0-only
/*
 * Circuit or TCP? The route table decides: a route through circuit0 is a
 * circuit, a local destination is one if net.vmcircuit.local says so, all else
 * is TCP. Whatever is odd about an address is left to TCP, which knows the
 * errno for it. For datagrams UDP asks the table for each; here it is asked
 * whether the next ones need to.
 */
#include <linux/bpf-cgroup.h>
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

/**
 * vmc_route_local_is_circuit - what the sysctl says of local destinations
 */
bool vmc_route_local_is_circuit(void)
{
	return READ_ONCE(local_circuits);
}

static void name_set(struct vmc_name *name, u8 family, const void *address,
		     unsigned int bytes, u16 port)
{
	memset(name, 0, sizeof(*name));
	memcpy(name->address, address, bytes);
	name->family = family;
	name->port = cpu_to_le16(port);
}

/* Where a route leads. */
enum verdict {
	VERDICT_ELSEWHERE,
	VERDICT_LOCAL,
	VERDICT_CIRCUIT0,
};

static enum verdict device_verdict(const struct net_device *dev, bool is_local)
{
	if (is_local)
		return VERDICT_LOCAL;
	return vmc_netdev_is(dev) ? VERDICT_CIRCUIT0 : VERDICT_ELSEWHERE;
}

/* Whether that is a circuit for a stream. Counts the reason when it is none. */
static bool verdict_is_circuit(enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_CIRCUIT0:
		return true;
	case VERDICT_LOCAL:
		if (vmc_route_local_is_circuit())
			return true;
		vmc_stat_inc(fallback_local);
		return false;
	case VERDICT_ELSEWHERE:
		break;
	}
	vmc_stat_inc(fallback_no_route);
	return false;
}

/* @from: whose marks, device and source address count. */
static enum verdict route_inet(const struct sock *from, u8 protocol,
			       __be32 daddr, u16 dport,
			       struct vmc_names *names)
{
	const struct inet_sock *inet = inet_sk(from);
	enum verdict verdict = VERDICT_ELSEWHERE;
	struct flowi4 fl4;
	struct rtable *rt;

	flowi4_init_output(&fl4, from->sk_bound_dev_if,
			   READ_ONCE(from->sk_mark), ip_sock_rt_tos(from),
			   ip_sock_rt_scope(from), protocol,
			   inet_sk_flowi_flags(from), daddr, inet->inet_saddr,
			   htons(dport), inet->inet_sport, from->sk_uid);
	rt = ip_route_output_key(sock_net(from), &fl4);
	if (IS_ERR(rt))
		return VERDICT_ELSEWHERE;
	if (rt->rt_type == RTN_UNICAST || rt->rt_type == RTN_LOCAL)
		verdict = device_verdict(rt->dst.dev, rt->rt_type == RTN_LOCAL);
	ip_rt_put(rt);
	name_set(&names->local, VMC_FAMILY_INET, &fl4.saddr, 4, 0);
	name_set(&names->remote, VMC_FAMILY_INET, &fl4.daddr, 4, dport);
	return verdict;
}

/* As route_inet(). */
static enum verdict route_inet6(const struct sock *from, u8 protocol,
				const struct in6_addr *daddr, u16 dport,
				struct vmc_names *names)
{
	struct in6_addr saddr = from->sk_v6_rcv_saddr;
	struct flowi6 fl6 = {
		.flowi6_oif = from->sk_bound_dev_if,
		.flowi6_mark = READ_ONCE(from->sk_mark),
		.flowi6_proto = protocol,
		.flowi6_uid = from->sk_uid,
		.daddr = ipv6_addr_any(daddr) ? in6addr_loopback : *daddr,
		.saddr = saddr,
		.fl6_dport = htons(dport),
	};
	enum verdict verdict = VERDICT_ELSEWHERE;
	struct dst_entry *dst;

	/* A scope would have to be told to the peer; nobody needs it. */
	if (ipv6_addr_type(&fl6.daddr) & (IPV6_ADDR_LINKLOCAL |
					  IPV6_ADDR_MULTICAST))
		return VERDICT_ELSEWHERE;
	dst = ip6_route_output(sock_net(from), NULL, &fl6);
	if (!dst->error)
		verdict = device_verdict(dst->dev,
				dst_rt6_info(dst)->rt6i_flags & RTF_LOCAL);
	if (verdict != VERDICT_ELSEWHERE && ipv6_addr_any(&saddr) &&
	    ipv6_dev_get_saddr(sock_net(from), dst->dev, &fl6.daddr,
			       inet6_sk(from)->srcprefs, &saddr))
		verdict = VERDICT_ELSEWHERE;
	dst_release(dst);
	name_set(&names->local, VMC_FAMILY_INET6, &saddr, 16, 0);
	name_set(&names->remote, VMC_FAMILY_INET6, &fl6.daddr, 16, dport);
	return verdict;
}

static bool route_addr(struct sock *sk, const struct sockaddr_storage *addr,
		       int addr_bytes, struct vmc_names *names)
{
	const struct sockaddr_in6 *sin6 = (const void *)addr;
	const struct sockaddr_in *sin = (const void *)addr;
	const struct sock *tcp = vmc_sk(sk)->shadow->sk;

	if (addr->ss_family == AF_INET && addr_bytes >= sizeof(*sin) &&
	    sk->sk_family == AF_INET)
		return verdict_is_circuit(route_inet(tcp, IPPROTO_TCP,
						     sin->sin_addr.s_addr,
						     ntohs(sin->sin_port),
						     names));
	if (addr->ss_family != AF_INET6 || addr_bytes < SIN6_LEN_RFC2133 ||
	    sk->sk_family != AF_INET6)
		return false;
	if (!ipv6_addr_v4mapped(&sin6->sin6_addr))
		return verdict_is_circuit(route_inet6(tcp, IPPROTO_TCP,
						      &sin6->sin6_addr,
						      ntohs(sin6->sin6_port),
						      names));
	if (ipv6_only_sock(tcp))
		return false;
	return verdict_is_circuit(route_inet(tcp, IPPROTO_TCP,
					     sin6->sin6_addr.s6_addr32[3],
					     ntohs(sin6->sin6_port), names));
}

/*
 * A socket that connects to its own name meets itself in TCP, which knows of a
 * connection that both ends open at once. The switch would look for a listener.
 */
static bool is_own_name(const struct sock *tcp, const struct vmc_names *names)
{
	return inet_sk(tcp)->inet_num &&
	       inet_sk(tcp)->inet_num == le16_to_cpu(names->remote.port) &&
	       names->local.family == names->remote.family &&
	       !memcmp(names->local.address, names->remote.address,
		       sizeof(names->local.address));
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
	if (is_own_name(vmc_sk(sk)->shadow->sk, ret_names)) {
		vmc_stat_inc(fallback_local);
		return VMC_ROUTE_TCP;
	}
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
 * vmc_route_has_hooks - whether BPF wants to see where datagrams go
 *
 * It hangs on UDP's own sendmsg.
 */
bool vmc_route_has_hooks(void)
{
	return cgroup_bpf_enabled(CGROUP_UDP4_SENDMSG) ||
	       cgroup_bpf_enabled(CGROUP_UDP6_SENDMSG);
}

static void basis_take(const struct sock *sk, u32 bindings, bool is_inet,
		       struct vmc_route_basis *ret_basis)
{
	ret_basis->is_known = true;
	ret_basis->tos = READ_ONCE(inet_sk(sk)->tos);
	ret_basis->table = is_inet ? rt_genid_ipv4(sock_net(sk)) :
				     rt_genid_ipv6(sock_net(sk));
	ret_basis->device = READ_ONCE(sk->sk_bound_dev_if);
	ret_basis->is_local_circuit = vmc_route_local_is_circuit();
	ret_basis->mark = READ_ONCE(sk->sk_mark);
	ret_basis->bindings = bindings;
}

/**
 * vmc_route_is_current - whether what was learned still holds
 * @sk: a datagram socket
 * @bindings: how often it was bound or connected
 * @basis: of what was learned
 * @remote: about which name
 */
bool vmc_route_is_current(const struct sock *sk, u32 bindings,
			  const struct vmc_route_basis *basis,
			  const struct vmc_name *remote)
{
	struct vmc_route_basis now;

	if (!READ_ONCE(basis->is_known))
		return false;
	basis_take(sk, bindings, remote->family == VMC_FAMILY_INET, &now);
	return now.tos == basis->tos && now.table == basis->table &&
	       now.device == basis->device && now.mark == basis->mark &&
	       now.is_local_circuit == basis->is_local_circuit &&
	       now.bindings == basis->bindings;
}

/* Options that send a datagram elsewhere, or from elsewhere. */
static bool has_odd_options(const struct sock *sk)
{
	const struct ipv6_pinfo *np;

	if (READ_ONCE(inet_sk(sk)->uc_index) ||
	    rcu_access_pointer(inet_sk(sk)->inet_opt) ||
	    sock_flag(sk, SOCK_LOCALROUTE))
		return true;
	if (sk->sk_family != AF_INET6)
		return false;
	np = inet6_sk(sk);
	return READ_ONCE(np->ucast_oif) || np->sticky_pktinfo.ipi6_ifindex ||
	       !ipv6_addr_any(&np->sticky_pktinfo.ipi6_addr) ||
	       rcu_access_pointer(np->opt);
}

/**
 * vmc_route_learn - which names does a plain datagram have, and why?
 * @sk: a datagram socket, bound
 * @bindings: how often it was bound or connected
 * @remote: whom it sends to
 * @ret_names: both
 * @ret_basis: what that follows from
 *
 * May sleep.
 *
 * Return: false if it leaves neither by circuit0 nor as circuits of a VM to
 * itself do, or for reasons that cannot be told.
 */
bool vmc_route_learn(const struct sock *sk, u32 bindings,
		     const struct vmc_name *remote,
		     struct vmc_names *ret_names,
		     struct vmc_route_basis *ret_basis)
{
	bool is_inet = remote->family == VMC_FAMILY_INET;
	u16 port = le16_to_cpu(remote->port);
	enum verdict verdict;
	__be32 daddr;

	if (!net_eq(sock_net(sk), vmc_netdev_net()) || has_odd_options(sk))
		return false;
	basis_take(sk, bindings, is_inet, ret_basis);
	memcpy(&daddr, remote->address, sizeof(daddr));
	verdict = is_inet ? route_inet(sk, IPPROTO_UDP, daddr, port,
				       ret_names) :
			    route_inet6(sk, IPPROTO_UDP,
					(const void *)remote->address, port,
					ret_names);
	ret_names->local.port = cpu_to_le16(inet_sk(sk)->inet_num);
	return verdict == VERDICT_CIRCUIT0 ||
	       (verdict == VERDICT_LOCAL && ret_basis->is_local_circuit);
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
