// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells senders that their datagram reached nobody, as a network would: with
 * the ICMP message that the datagram's destination or a router would send. The
 * kernel's UDP makes of it what a program expects: an error of a connected
 * socket, an entry in the error queue of one that asked for it.
 */
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <linux/udp.h>
#include <net/ip.h>
#include "netdev.h"
#include "sock.h"
#include "unreach.h"

#define HOP_LIMIT	64

/* How much of the datagram the message quotes: its headers and a little. */
#define QUOTE_BYTES	128U

static u8 inet_code(int error)
{
	switch (error) {
	case ECONNREFUSED:	return ICMP_PORT_UNREACH;
	case ENETUNREACH:	return ICMP_NET_UNREACH;
	case EACCES:		return ICMP_PKT_FILTERED;
	default:		return ICMP_HOST_UNREACH;
	}
}

static u8 inet6_code(int error)
{
	switch (error) {
	case ECONNREFUSED:	return ICMPV6_PORT_UNREACH;
	case ENETUNREACH:	return ICMPV6_NOROUTE;
	case EACCES:		return ICMPV6_ADM_PROHIBITED;
	default:		return ICMPV6_ADDR_UNREACH;
	}
}

static void put_inet(struct sk_buff *message, const struct iphdr *sent,
		     u32 quote_bytes, int error)
{
	struct icmphdr *icmp;
	struct iphdr *ip;

	skb_reset_network_header(message);
	ip = skb_put_zero(message, sizeof(*ip));
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->ttl = HOP_LIMIT;
	ip->protocol = IPPROTO_ICMP;
	ip->saddr = sent->daddr;
	ip->daddr = sent->saddr;
	ip->tot_len = htons(sizeof(*ip) + sizeof(*icmp) + quote_bytes);
	ip_send_check(ip);
	icmp = skb_put_zero(message, sizeof(*icmp));
	icmp->type = ICMP_DEST_UNREACH;
	icmp->code = inet_code(error);
	message->protocol = htons(ETH_P_IP);
}

static void put_inet6(struct sk_buff *message, const struct ipv6hdr *sent,
		      u32 quote_bytes, int error)
{
	struct icmp6hdr *icmp;
	struct ipv6hdr *ip6;

	skb_reset_network_header(message);
	ip6 = skb_put_zero(message, sizeof(*ip6));
	ip6->version = 6;
	ip6->hop_limit = HOP_LIMIT;
	ip6->nexthdr = IPPROTO_ICMPV6;
	ip6->saddr = sent->daddr;
	ip6->daddr = sent->saddr;
	ip6->payload_len = htons(sizeof(*icmp) + quote_bytes);
	icmp = skb_put_zero(message, sizeof(*icmp));
	icmp->icmp6_type = ICMPV6_DEST_UNREACH;
	icmp->icmp6_code = inet6_code(error);
	message->protocol = htons(ETH_P_IPV6);
}

/* A message about a packet whose IP header is @sent; the quote comes next. */
static struct sk_buff *message_create(__be16 protocol, const void *sent,
				      u32 quote_bytes, int error)
{
	struct sk_buff *message;

	message = alloc_skb(sizeof(struct ipv6hdr) + sizeof(struct icmp6hdr) +
			    QUOTE_BYTES, GFP_ATOMIC);
	if (!message)
		return NULL;
	if (protocol == htons(ETH_P_IP))
		put_inet(message, sent, quote_bytes, error);
	else
		put_inet6(message, sent, quote_bytes, error);
	message->ip_summed = CHECKSUM_UNNECESSARY;
	return message;
}

static struct sk_buff *message_about(struct sk_buff *skb, int error)
{
	u32 quote_bytes = min(skb->len, QUOTE_BYTES);
	struct sk_buff *message;

	message = message_create(skb->protocol, skb_network_header(skb),
				 quote_bytes, error);
	if (message)
		skb_copy_bits(skb, 0, skb_put(message, quote_bytes),
			      quote_bytes);
	return message;
}

/**
 * vmc_unreach_tell - a packet reached nobody: tell who sent it
 * @skb: an IP packet from here, as circuit0 got it
 * @error: positive errno: why
 *
 * Any context but hard interrupt. Without memory nobody is told, as when such
 * a message is lost.
 */
void vmc_unreach_tell(struct sk_buff *skb, int error)
{
	struct sk_buff *message = message_about(skb, error);

	if (message)
		vmc_netdev_receive(message);
}

/**
 * vmc_unreach_tell_now - as vmc_unreach_tell(), who sent it knows afterwards
 * @skb: likewise
 * @error: likewise
 *
 * No lock is held.
 */
void vmc_unreach_tell_now(struct sk_buff *skb, int error)
{
	struct sk_buff *message = message_about(skb, error);

	if (message)
		vmc_netdev_receive_now(message);
}

/* The headers of an empty datagram. Return: their length. */
static u32 quote_inet(void *quote, const struct vmc_names *names)
{
	struct udphdr *udp = quote + sizeof(struct iphdr);
	struct iphdr *ip = quote;

	*ip = (struct iphdr){
		.version = 4,
		.ihl = sizeof(*ip) / 4,
		.tot_len = htons(sizeof(*ip) + sizeof(*udp)),
		.ttl = HOP_LIMIT,
		.protocol = IPPROTO_UDP,
	};
	memcpy(&ip->saddr, names->local.address, 4);
	memcpy(&ip->daddr, names->remote.address, 4);
	return sizeof(*ip) + sizeof(*udp);
}

static u32 quote_inet6(void *quote, const struct vmc_names *names)
{
	struct udphdr *udp = quote + sizeof(struct ipv6hdr);
	struct ipv6hdr *ip6 = quote;

	*ip6 = (struct ipv6hdr){
		.version = 6,
		.payload_len = htons(sizeof(*udp)),
		.nexthdr = IPPROTO_UDP,
		.hop_limit = HOP_LIMIT,
	};
	memcpy(&ip6->saddr, names->local.address, 16);
	memcpy(&ip6->daddr, names->remote.address, 16);
	return sizeof(*ip6) + sizeof(*udp);
}

/**
 * vmc_unreach_tell_names - a datagram that is long sent reached nobody
 * @names: its names; nothing else is known of it
 * @error: positive errno: why
 *
 * As vmc_unreach_tell().
 */
void vmc_unreach_tell_names(const struct vmc_names *names, int error)
{
	bool is_inet = names->local.family == VMC_FAMILY_INET;
	u8 quote[sizeof(struct ipv6hdr) + sizeof(struct udphdr)] = { };
	u32 bytes = is_inet ? quote_inet(quote, names) :
			      quote_inet6(quote, names);
	struct udphdr *udp = (void *)quote + bytes - sizeof(*udp);
	struct sk_buff *message;

	udp->source = htons(le16_to_cpu(names->local.port));
	udp->dest = htons(le16_to_cpu(names->remote.port));
	udp->len = htons(sizeof(*udp));
	message = message_create(htons(is_inet ? ETH_P_IP : ETH_P_IPV6), quote,
				 bytes, error);
	if (!message)
		return;
	skb_put_data(message, quote, bytes);
	vmc_netdev_receive(message);
}
