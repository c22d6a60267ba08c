// SPDX-License-Identifier: GPL-2.0-only
/*
 * circuit0: the interface that carries addresses and routes, but few packets.
 * It gives those that leave to the flows and to the hub (main.c says in which
 * order); whoever sends another is told at once that the host is unreachable.
 */
#include <linux/icmpv6.h>
#include <linux/if_arp.h>
#include <linux/ip.h>
#include <linux/netdevice.h>
#include <linux/tcp.h>
#include <net/addrconf.h>
#include <net/icmp.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/route.h>
#include "group.h"
#include "netdev.h"

/* The largest packet that IPv6 knows, and what TCP would make of it. */
#define NETDEV_MTU	(IPV6_MAXPLEN + sizeof(struct ipv6hdr))
#define STREAM_MTU	65535U

static struct net_device *netdev;
static const struct vmc_netdev_user *netdev_user;
static struct napi_struct netdev_napi;

static netdev_tx_t netdev_xmit(struct sk_buff *skb, struct net_device *dev)
{
	unsigned int bytes = skb->len;

	if (netdev_user->transmit(skb)) {
		dev_sw_netstats_tx_add(dev, 1, bytes);
		return NETDEV_TX_OK;
	}
	if (skb->protocol == htons(ETH_P_IP))
		icmp_ndo_send(skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0);
	else if (skb->protocol == htons(ETH_P_IPV6))
		icmpv6_ndo_send(skb, ICMPV6_DEST_UNREACH, ICMPV6_ADDR_UNREACH,
				0);
	DEV_STATS_INC(dev, tx_dropped);
	kfree_skb(skb);
	return NETDEV_TX_OK;
}

static int netdev_open(struct net_device *dev)
{
	napi_enable(&netdev_napi);
	vmc_netdev_wake();
	return 0;
}

static int netdev_stop(struct net_device *dev)
{
	napi_disable(&netdev_napi);
	return 0;
}

/* Flows take many datagrams in one packet, the hub does not. */
static netdev_features_t netdev_check_features(struct sk_buff *skb,
					       struct net_device *dev,
					       netdev_features_t features)
{
	const struct iphdr *ip = ip_hdr(skb);

	if (!skb_is_gso(skb))
		return features;
	if (skb->protocol == htons(ETH_P_IP) ?
	    ipv4_is_multicast(ip->daddr) || vmc_group_is_broadcast(ip->daddr) :
	    ipv6_addr_is_multicast(&ipv6_hdr(skb)->daddr))
		features &= ~NETIF_F_GSO_MASK;
	return features;
}

static const struct net_device_ops netdev_ops = {
	.ndo_open		= netdev_open,
	.ndo_stop		= netdev_stop,
	.ndo_start_xmit		= netdev_xmit,
	.ndo_features_check	= netdev_check_features,
};

static void netdev_setup(struct net_device *dev)
{
	dev->netdev_ops = &netdev_ops;
	dev->type = ARPHRD_NONE;
	dev->flags = IFF_NOARP | IFF_BROADCAST | IFF_MULTICAST;
	dev->mtu = NETDEV_MTU;
	dev->min_mtu = IPV6_MIN_MTU;
	dev->max_mtu = NETDEV_MTU;
	/* The switch gives addresses, nobody else. */
	dev->priv_flags |= IFF_NO_QUEUE | IFF_NO_ADDRCONF;
	/* No packet is put on a wire, so nobody needs to sum or split it. */
	dev->features |= NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HIGHDMA |
			 NETIF_F_HW_CSUM | NETIF_F_GSO_UDP_L4;
	dev->pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS;
	dev->needs_free_netdev = true;
}

/**
 * vmc_netdev_create - make circuit0 in the first network namespace
 * @user: called until it is destroyed
 *
 * Return: 0 or what register_netdev() says.
 */
int vmc_netdev_create(const struct vmc_netdev_user *user)
{
	int err;

	netdev_user = user;
	netdev = alloc_netdev(0, "circuit%d", NET_NAME_ENUM, netdev_setup);
	if (!netdev)
		return -ENOMEM;
	netif_carrier_off(netdev);
	netif_napi_add(netdev, &netdev_napi, user->poll);
	err = register_netdev(netdev);
	if (err) {
		free_netdev(netdev);
		netdev = NULL;
	}
	return err;
}

/**
 * vmc_netdev_destroy - remove circuit0
 */
void vmc_netdev_destroy(void)
{
	unregister_netdev(netdev);
	netdev = NULL;
}

/**
 * vmc_netdev_set_carrier - show whether a switch is attached
 * @is_up: it is
 */
void vmc_netdev_set_carrier(bool is_up)
{
	if (is_up)
		netif_carrier_on(netdev);
	else
		netif_carrier_off(netdev);
}

/**
 * vmc_netdev_is - whether this is circuit0
 * @dev: any
 */
bool vmc_netdev_is(const struct net_device *dev)
{
	return dev == netdev;
}

/**
 * vmc_netdev_ifindex - circuit0's index
 */
int vmc_netdev_ifindex(void)
{
	return netdev->ifindex;
}

/**
 * vmc_netdev_mtu - circuit0's MTU as streams show it, bytes
 */
unsigned int vmc_netdev_mtu(void)
{
	return min(READ_ONCE(netdev->mtu), STREAM_MTU);
}

/**
 * vmc_netdev_mss - what TCP would put into one packet of circuit0, bytes
 * @family: of the socket
 */
unsigned int vmc_netdev_mss(int family)
{
	return vmc_netdev_mtu() - sizeof(struct tcphdr) -
	       (family == AF_INET6 ? sizeof(struct ipv6hdr) :
				     sizeof(struct iphdr));
}

/* Whether the kernel says it to itself: then it is believed from lo only. */
static bool is_from_here(const struct sk_buff *skb)
{
	struct net *net = dev_net(netdev);

	if (skb->protocol == htons(ETH_P_IP))
		return inet_addr_type(net, ip_hdr(skb)->saddr) == RTN_LOCAL;
	return ipv6_chk_addr(net, &ipv6_hdr(skb)->saddr, NULL, 0) ||
	       ipv6_addr_loopback(&ipv6_hdr(skb)->saddr);
}

/* As lo's packets IPv4's have their route, or nobody would believe them. */
static void set_local_route(struct sk_buff *skb)
{
	struct flowi4 fl4 = {
		.daddr = ip_hdr(skb)->daddr,
		.saddr = ip_hdr(skb)->saddr,
	};
	struct rtable *rt;

	if (skb->protocol != htons(ETH_P_IP))
		return;
	rt = ip_route_output_key(dev_net(netdev), &fl4);
	if (!IS_ERR(rt))
		skb_dst_set(skb, &rt->dst);
}

static void set_origin(struct sk_buff *skb)
{
	if (is_from_here(skb)) {
		skb->dev = dev_net(netdev)->loopback_dev;
		set_local_route(skb);
	} else {
		skb->dev = netdev;
		dev_sw_netstats_rx_add(netdev, skb->len);
	}
}

/**
 * vmc_netdev_receive - a packet comes from circuit0, or from lo
 * @skb: an IP packet, with its network header, taken
 */
void vmc_netdev_receive(struct sk_buff *skb)
{
	set_origin(skb);
	netif_rx(skb);
}

/**
 * vmc_netdev_receive_now - as vmc_netdev_receive(), but it has come afterwards
 * @skb: likewise
 *
 * No lock is held.
 */
void vmc_netdev_receive_now(struct sk_buff *skb)
{
	set_origin(skb);
	local_bh_disable();
	netif_receive_skb(skb);
	local_bh_enable();
}

/**
 * vmc_netdev_receive_polled - a packet comes from circuit0
 * @skb: an IP packet, with its network header, taken
 *
 * From the user's poll().
 */
void vmc_netdev_receive_polled(struct sk_buff *skb)
{
	skb->dev = netdev;
	dev_sw_netstats_rx_add(netdev, skb->len);
	netif_receive_skb(skb);
}

/**
 * vmc_netdev_wake - have the user's poll() called
 *
 * Any context but hard interrupt. Nothing happens while circuit0 is down.
 */
void vmc_netdev_wake(void)
{
	local_bh_disable();
	napi_schedule(&netdev_napi);
	local_bh_enable();
}

/**
 * vmc_netdev_device - circuit0 itself
 */
struct net_device *vmc_netdev_device(void)
{
	return netdev;
}

/**
 * vmc_netdev_net - the network namespace whose sockets may be circuits
 */
struct net *vmc_netdev_net(void)
{
	return dev_net(netdev);
}
