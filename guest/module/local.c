// SPDX-License-Identifier: GPL-2.0-only
/*
 * Datagrams of a VM to itself. They go over lo, and never come to circuit0;
 * with net.vmcircuit.local they are taken away where they leave the socket, as
 * late as netfilter lets us, and take the way of those that go by circuit0.
 * Owns the hooks.
 */
#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/addrconf.h>
#include <net/ip6_route.h>
#include <net/route.h>
#include "attach.h"
#include "flow.h"
#include "local.h"
#include "netdev.h"
#include "route.h"

/* Addresses that the switch knows as this VM's: loopback and circuit0's. */
static bool is_ours(__be32 address)
{
	return ipv4_is_loopback(address) ||
	       vmc_netdev_is(__ip_dev_find(vmc_netdev_net(), address, false));
}

static bool is_ours6(const struct in6_addr *address)
{
	/* Strictly: of this device, not of any. */
	return ipv6_addr_loopback(address) ||
	       ipv6_chk_addr(vmc_netdev_net(), address, vmc_netdev_device(), 1);
}

/**
 * vmc_local_is - whether a name is this VM's
 * @name: a valid one
 */
bool vmc_local_is(const struct vmc_name *name)
{
	struct in6_addr address;
	__be32 v4;
	bool ret;

	memcpy(&address, name->address, sizeof(address));
	if (name->family == VMC_FAMILY_INET6)
		return is_ours6(&address);
	memcpy(&v4, name->address, sizeof(v4));
	rcu_read_lock();
	ret = is_ours(v4);
	rcu_read_unlock();
	return ret;
}

/* Not what is for many, on lo, too. */
static bool is_between_ours(const struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);

	if (skb->protocol == htons(ETH_P_IP))
		return skb_rtable(skb)->rt_type == RTN_LOCAL &&
		       is_ours(ip_hdr(skb)->saddr) &&
		       is_ours(ip_hdr(skb)->daddr);
	return dst_rt6_info(dst)->rt6i_flags & RTF_LOCAL &&
	       is_ours6(&ipv6_hdr(skb)->saddr) &&
	       is_ours6(&ipv6_hdr(skb)->daddr);
}

static unsigned int local_out(void *unused, struct sk_buff *skb,
			      const struct nf_hook_state *state)
{
	bool is_taken = false;

	if (!vmc_route_local_is_circuit() || !vmc_attach_generation())
		return NF_ACCEPT;
	local_bh_disable();
	rcu_read_lock();
	if (is_between_ours(skb))
		is_taken = vmc_flow_transmit(skb);
	rcu_read_unlock();
	local_bh_enable();
	return is_taken ? NF_STOLEN : NF_ACCEPT;
}

static const struct nf_hook_ops hooks[] = {
	{
		.hook		= local_out,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_LOCAL_OUT,
		.priority	= NF_IP_PRI_LAST,
	},
	{
		.hook		= local_out,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_LOCAL_OUT,
		.priority	= NF_IP6_PRI_LAST,
	},
};

/**
 * vmc_local_init - be asked about what leaves sockets
 *
 * Return: 0 or what nf_register_net_hooks() says.
 */
int vmc_local_init(void)
{
	return nf_register_net_hooks(&init_net, hooks, ARRAY_SIZE(hooks));
}

/**
 * vmc_local_exit - undo vmc_local_init()
 */
void vmc_local_exit(void)
{
	nf_unregister_net_hooks(&init_net, hooks, ARRAY_SIZE(hooks));
}
