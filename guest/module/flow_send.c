// SPDX-License-Identifier: GPL-2.0-only
/*
 * Datagrams into rings. The quick way is from the program's memory into the
 * ring. Everything else UDP does first, and circuit0 gets an IP packet: for the
 * first datagram to a name, for what has control messages, is corked, or finds
 * the ring full. Packets that cannot go into the ring yet wait with their flow
 * and count as the socket's send buffer. So whoever sends waits, or gets
 * EAGAIN, as with a slow network card.
 *
 * A peer that does not take anything for EXPIRY_MS loses what has waited that
 * long, and is told how many that were.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/udp.h>
#include "compat.h"
#include "datagram.h"
#include "flow.h"
#include "ready.h"
#include "ring_copy.h"
#include "stats.h"
#include "traits.h"
#include "unreach.h"

#define EXPIRY_MS	10

/* A packet that waits, in its control buffer. */
struct waiting {
	u32 at;			/* of the next payload byte in the packet */
	unsigned long since;	/* jiffies */
};

static struct waiting *waiting_of(struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct waiting) > sizeof(skb->cb));
	return (struct waiting *)skb->cb;
}

/* How many datagrams a packet still holds. */
static unsigned int packet_count(struct sk_buff *skb)
{
	u32 left = skb->len - waiting_of(skb)->at;

	return skb_is_gso(skb) ?
	       DIV_ROUND_UP(left, skb_shinfo(skb)->gso_size) : 1;
}

static u32 packet_next_bytes(struct sk_buff *skb)
{
	u32 left = skb->len - waiting_of(skb)->at;

	return skb_is_gso(skb) ? min_t(u32, left, skb_shinfo(skb)->gso_size) :
				 left;
}

/* Locked. True: the packet is in the ring, all of it. */
static bool flow_put_packet(struct vmc_flow *flow, struct sk_buff *skb)
{
	struct vmc_circuit *circuit = flow->circuit;
	struct vmc_record traits = vmc_traits_of_packet(flow->sk, skb);
	struct waiting *waiting = waiting_of(skb);
	u32 room = vmc_circuit_writable(circuit);
	u32 done = 0, bytes, span;
	bool is_whole = false;

	while (!is_whole) {
		bytes = packet_next_bytes(skb);
		span = vmc_record_span(bytes);
		if (span > room - done)
			break;
		vmc_ring_put_record(circuit, done, bytes, traits);
		vmc_ring_copy_from_packet(circuit,
					  done + sizeof(struct vmc_record),
					  skb, waiting->at, bytes);
		done += span;
		waiting->at += bytes;
		is_whole = waiting->at >= skb->len;
		vmc_stat_inc(datagrams_sent);
	}
	if (done) {
		flow->used = jiffies;
		vmc_circuit_produce(circuit, done);
	}
	return is_whole;
}

/**
 * vmc_flow_refuse - packets will not be sent; their senders have heard of it
 * @packets: dropped
 * @error: positive errno
 *
 * No lock is held.
 */
void vmc_flow_refuse(struct sk_buff_head *packets, int error)
{
	struct sk_buff *skb;

	while ((skb = __skb_dequeue(packets))) {
		vmc_stat_add(datagrams_unreachable, packet_count(skb));
		vmc_unreach_tell_now(skb, error);
		kfree_skb(skb);
	}
}

/**
 * vmc_flow_drop_pending - nothing that waits will be sent
 * @flow: locked
 * @error: positive errno that their sender is told, as by ICMP; or 0
 */
void vmc_flow_drop_pending(struct vmc_flow *flow, int error)
{
	struct sk_buff *skb;
	unsigned int nr;

	while ((skb = __skb_dequeue(&flow->pending))) {
		nr = packet_count(skb);
		vmc_stat_add(datagrams_unreachable, nr);
		if (error)
			vmc_unreach_tell(skb, error);
		kfree_skb(skb);
	}
}

static unsigned long patience(void)
{
	return max(EXPIRY_MS * HZ / MSEC_PER_SEC, 1UL);
}

static void flow_arm_expiry(struct vmc_flow *flow, unsigned long when)
{
	if (!mod_timer(&flow->expiry, when))
		refcount_inc(&flow->ref);
}

/**
 * vmc_flow_flush - put into the ring what waits, as far as there is room
 * @flow: locked, with a circuit
 *
 * Asks for a bell if something is left, and gives the peer its time: anew
 * whenever it has taken something.
 *
 * Return: whether anything went.
 */
bool vmc_flow_flush(struct vmc_flow *flow)
{
	bool is_progress = false, is_asked = false;
	struct sk_buff *skb;

	while ((skb = skb_peek(&flow->pending))) {
		u32 at = waiting_of(skb)->at;

		if (flow_put_packet(flow, skb)) {
			__skb_unlink(skb, &flow->pending);
			consume_skb(skb);
			is_progress = true;
			continue;
		}
		is_progress |= waiting_of(skb)->at != at;
		/* Look once more after the wait is announced. */
		if (is_asked || flow->circuit->is_lying)
			break;
		vmc_circuit_await_space(flow->circuit);
		is_asked = true;
	}
	if (skb && (is_progress || !timer_pending(&flow->expiry)))
		flow_arm_expiry(flow, jiffies + patience());
	return is_progress;
}

/* Locked. The peer has taken nothing for so long; what is as old goes. */
static void flow_drop_aged(struct vmc_flow *flow)
{
	struct sk_buff *skb;
	unsigned int nr = 0;

	while ((skb = skb_peek(&flow->pending)) &&
	       time_after_eq(jiffies, waiting_of(skb)->since + patience())) {
		nr += packet_count(skb);
		__skb_unlink(skb, &flow->pending);
		kfree_skb(skb);
	}
	if (skb)
		flow_arm_expiry(flow, waiting_of(skb)->since + patience());
	vmc_stat_add(datagrams_unsent, nr);
	flow->own_unsent += nr;
	WRITE_ONCE(flow->circuit->own->unsent, cpu_to_le32(flow->own_unsent));
}

/**
 * vmc_flow_expire - the oldest that waits has had its time
 * @timer: a flow's; its reference is given up
 */
void vmc_flow_expire(struct timer_list *timer)
{
	struct vmc_flow *flow = from_timer(flow, timer, expiry);

	spin_lock_bh(&flow->lock);
	if (flow->state == VMC_FLOW_OPEN || flow->state == VMC_FLOW_ENDING) {
		if (!vmc_flow_flush(flow))
			flow_drop_aged(flow);
		vmc_flow_update(flow);
	}
	spin_unlock_bh(&flow->lock);
	vmc_flow_put(flow);
}

/**
 * vmc_flow_count_unread - the peer reads no more: count what it left
 * @flow: locked
 *
 * Once only. Our own records stand in memory that the peer can spoil: whatever
 * they say, the walk ends.
 */
void vmc_flow_count_unread(struct vmc_flow *flow)
{
	struct vmc_circuit *circuit = flow->circuit;
	struct vmc_record raw_record;
	unsigned int nr = 0;
	u32 left, at, span;

	if (!circuit || flow->is_counted)
		return;
	flow->is_counted = true;
	left = circuit->tx_bytes - vmc_circuit_writable(circuit);
	for (at = circuit->prod - left; left; at += span, left -= span) {
		raw_record = vmc_ring_record(circuit->tx, circuit->tx_bytes,
					     at);
		span = vmc_record_check(le32_to_cpu(raw_record.bytes), left);
		if (!span)
			break;
		nr++;
	}
	vmc_stat_add(datagrams_unread, nr);
}

/* Locked, open. */
static bool has_peer_ended(const struct vmc_flow *flow)
{
	return vmc_circuit_peer_flags(flow->circuit) & VMC_CTL_FIN;
}

/**
 * vmc_flow_send - the quick way: from the program's memory into the ring
 * @flow: under RCU
 * @from: the datagram; not advanced unless it went
 * @bytes: of it, at most VMC_DATAGRAM_MAX_BYTES
 *
 * Return: 0; -EAGAIN when something waits already, or there is no room, or a
 * page of the program's is not there: the other way knows what to do.
 */
int vmc_flow_send(struct vmc_flow *flow, const struct iov_iter *from,
		  u32 bytes)
{
	struct iov_iter source = *from;
	struct vmc_circuit *circuit;
	int err = -EAGAIN;
	u32 copied;

	spin_lock_bh(&flow->lock);
	circuit = flow->circuit;
	if (flow->state != VMC_FLOW_OPEN || has_peer_ended(flow) ||
	    !skb_queue_empty(&flow->pending) ||
	    vmc_record_span(bytes) > vmc_circuit_writable(circuit))
		goto unlock;
	vmc_ring_put_record(circuit, 0, bytes,
			    vmc_traits_of_socket(flow->sk,
						 flow->names.remote.family));
	pagefault_disable();
	copied = vmc_ring_copy_in(circuit, sizeof(struct vmc_record), bytes,
				  &source);
	pagefault_enable();
	if (copied < bytes)
		goto unlock;
	vmc_circuit_produce(circuit, vmc_record_span(bytes));
	vmc_stat_inc(datagrams_sent);
	flow->used = jiffies;
	err = 0;
unlock:
	spin_unlock_bh(&flow->lock);
	return err;
}

static void name_set(struct vmc_name *name, u8 family, const void *address,
		     unsigned int bytes, __be16 port)
{
	memset(name, 0, sizeof(*name));
	memcpy(name->address, address, bytes);
	name->family = family;
	name->port = cpu_to_le16(ntohs(port));
}

/*
 * The names in a packet, and where its payload begins; 0 if it is none for a
 * circuit: not plain UDP, a fragment, for many.
 */
static u32 packet_parse(struct sk_buff *skb, struct vmc_names *ret_names)
{
	const struct ipv6hdr *ip6;
	const struct udphdr *udp;
	const struct iphdr *ip;
	u32 offset;

	if (skb->protocol == htons(ETH_P_IP)) {
		ip = ip_hdr(skb);
		offset = ip_hdrlen(skb);
		if (ip->protocol != IPPROTO_UDP || ip_is_fragment(ip) ||
		    ipv4_is_multicast(ip->daddr) || ipv4_is_lbcast(ip->daddr) ||
		    !pskb_may_pull(skb, offset + sizeof(*udp)))
			return 0;
		ip = ip_hdr(skb);
		udp = (const void *)ip + offset;
		name_set(&ret_names->local, VMC_FAMILY_INET, &ip->saddr, 4,
			 udp->source);
		name_set(&ret_names->remote, VMC_FAMILY_INET, &ip->daddr, 4,
			 udp->dest);
		return offset + sizeof(*udp);
	}
	if (skb->protocol != htons(ETH_P_IPV6))
		return 0;
	ip6 = ipv6_hdr(skb);
	offset = sizeof(*ip6);
	if (ip6->nexthdr != IPPROTO_UDP ||
	    ipv6_addr_type(&ip6->daddr) & (IPV6_ADDR_MULTICAST |
					   IPV6_ADDR_LINKLOCAL) ||
	    !pskb_may_pull(skb, offset + sizeof(*udp)))
		return 0;
	ip6 = ipv6_hdr(skb);
	udp = (const void *)ip6 + offset;
	name_set(&ret_names->local, VMC_FAMILY_INET6, &ip6->saddr, 16,
		 udp->source);
	name_set(&ret_names->remote, VMC_FAMILY_INET6, &ip6->daddr, 16,
		 udp->dest);
	return offset + sizeof(*udp);
}

/* Under RCU. False: the flow is no more for what is new. */
static bool flow_take_packet(struct vmc_flow *flow, struct sk_buff *skb)
{
	bool is_new;

	spin_lock_bh(&flow->lock);
	/* Before its bell is heard: the packet shall begin a flow. */
	if (flow->state == VMC_FLOW_OPEN && has_peer_ended(flow))
		vmc_ready_look_at(flow);
	if (flow->state != VMC_FLOW_DIALLING && flow->state != VMC_FLOW_OPEN) {
		spin_unlock_bh(&flow->lock);
		return false;
	}
	is_new = skb_queue_empty(&flow->pending);
	__skb_queue_tail(&flow->pending, skb);
	if (flow->state == VMC_FLOW_OPEN) {
		if (is_new)
			vmc_flow_flush(flow);
		if (flow->circuit->is_lying)
			vmc_flow_update(flow);
	} else if (!flow->is_begun) {
		flow->is_begun = true;
		vmc_flow_dial(flow);
	}
	spin_unlock_bh(&flow->lock);
	return true;
}

/**
 * vmc_flow_transmit - circuit0 got a packet, or one is for this VM itself
 * @skb: an IP packet
 *
 * Bottom halves off, under RCU.
 *
 * Return: false if it is none for a circuit; else it is taken, or lost and
 * counted.
 */
bool vmc_flow_transmit(struct sk_buff *skb)
{
	struct sock *sk = skb->sk;
	unsigned int nr_tries = 3;
	struct vmc_names names;
	struct vmc_flow *flow;
	u32 at;

	if (!sk || !sk_fullsock(sk) || !vmc_datagram_is(sk) ||
	    READ_ONCE(udp_sk(sk)->encap_type))
		return false;
	at = packet_parse(skb, &names);
	if (!at)
		return false;
	skb_dst_drop(skb);
	waiting_of(skb)->at = at;
	waiting_of(skb)->since = jiffies;
	while (nr_tries--) {
		bool is_taken;

		flow = vmc_flow_find(sk, &names);
		if (flow && flow_take_packet(flow, skb))
			return true;
		flow = vmc_flow_create(sk, &names, false, GFP_ATOMIC);
		if (!flow)
			break;
		is_taken = flow_take_packet(flow, skb);
		vmc_flow_put(flow);
		if (is_taken)
			return true;
	}
	vmc_stat_add(datagrams_unreachable, packet_count(skb));
	kfree_skb(skb);
	return true;
}
