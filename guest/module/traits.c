// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a datagram's record says beside its length: the fields of the IP header
 * that a program can choose. They are told to the receiver, and over the uplink
 * to the network. Called by flow_send.c.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/dsfield.h>
#include <net/inet_sock.h>
#include <net/ipv6.h>
#include "traits.h"

/* What Linux sends with; then nobody has chosen. */
#define DEFAULT_HOP_LIMIT	64

/* Whether the program looks for the path's MTU itself, as QUIC does. */
static u8 flags_of(const struct sock *sk, u8 family)
{
	u8 discovery = family == VMC_FAMILY_INET ?
		       READ_ONCE(inet_sk(sk)->pmtudisc) :
		       READ_ONCE(inet6_sk(sk)->pmtudisc);

	/* These have the same values for both families. */
	return discovery == IP_PMTUDISC_DO || discovery == IP_PMTUDISC_PROBE ?
	       VMC_RECORD_WHOLE : 0;
}

/**
 * vmc_traits_of_socket - what a socket sends with, if nothing else is said
 * @sk: a datagram socket
 * @family: VMC_FAMILY_ of where to, which need not be the socket's
 *
 * Return: a header without a length.
 */
struct vmc_record vmc_traits_of_socket(const struct sock *sk, u8 family)
{
	bool is_inet = family == VMC_FAMILY_INET;
	int hop_limit = is_inet ? READ_ONCE(inet_sk(sk)->uc_ttl) :
				  READ_ONCE(inet6_sk(sk)->hop_limit);

	return (struct vmc_record){
		.traffic_class = is_inet ? READ_ONCE(inet_sk(sk)->tos) :
					   READ_ONCE(inet6_sk(sk)->tclass),
		.hop_limit = hop_limit < 0 ? 0 : hop_limit,
		.flags = flags_of(sk, family),
	};
}

/**
 * vmc_traits_of_packet - what a packet was sent with
 * @sk: its socket
 * @skb: an IP packet
 *
 * Return: a header without a length.
 */
struct vmc_record vmc_traits_of_packet(const struct sock *sk,
				       const struct sk_buff *skb)
{
	bool is_inet = skb->protocol == htons(ETH_P_IP);
	struct vmc_record record = {
		.traffic_class = is_inet ? ip_hdr(skb)->tos :
					   ipv6_get_dsfield(ipv6_hdr(skb)),
		.hop_limit = is_inet ? ip_hdr(skb)->ttl :
				       ipv6_hdr(skb)->hop_limit,
		.flags = flags_of(sk, is_inet ? VMC_FAMILY_INET :
						VMC_FAMILY_INET6),
	};

	if (record.hop_limit == DEFAULT_HOP_LIMIT)
		record.hop_limit = 0;
	return record;
}
