// SPDX-License-Identifier: GPL-2.0-only
/*
 * The circuit to the switch's hub, for the packets of circuit0 that are no
 * socket's flow: datagrams to groups and broadcast addresses, and echoes. The
 * records in its rings are IP packets; the kernel itself makes and takes them,
 * with its memberships, source filters and answers. Owns the circuit, which
 * lasts as long as the attachment, and the packets that wait for room.
 *
 * The lock is of a flow's level (flow.c); nothing is given to the kernel with
 * it.
 */
#define pr_fmt(fmt) "vmcircuit: " fmt
#include <linux/err.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/workqueue.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include "../../proto/record.h"
#include "attach.h"
#include "circuit.h"
#include "compat.h"
#include "device.h"
#include "group.h"
#include "hub.h"
#include "netdev.h"
#include "request.h"
#include "ring_copy.h"
#include "stats.h"

/* Packets that wait for room in the ring, as those of a network card do. */
#define MAX_PENDING	1000U

/* Bytes that are copied before the kernel gets what there is. */
#define TURN_BYTES	(256U << 10)

/* How often what nobody wants makes us say anew what is wanted. */
#define REMIND_TICKS	(HZ / 10)

static void close_work(struct work_struct *work);

static struct {
	spinlock_t lock;
	struct vmc_circuit *circuit;	/* NULL: none */
	struct sk_buff_head pending;
	unsigned long written;		/* when the groups were, jiffies */
	u32 peer_unsent;		/* the hub's counter, last seen */
	struct work_struct closer;
} hub = {
	.lock		= __SPIN_LOCK_UNLOCKED(hub.lock),
	.pending	= {
		.next	= (struct sk_buff *)&hub.pending,
		.prev	= (struct sk_buff *)&hub.pending,
	},
	.closer		= __WORK_INITIALIZER(hub.closer, close_work),
};

/* What becomes of a packet that leaves by circuit0. */
enum kind {
	KIND_NONE,	/* none of the hub's business */
	KIND_CARRIED,
	KIND_QUIET,	/* to many, of a kind that nobody carries */
	KIND_REPORT,	/* likewise; memberships have changed */
};

static enum kind echo_kind(struct sk_buff *skb, u32 at, u8 request, u8 reply,
			   bool is_many)
{
	const struct icmphdr *icmp;

	if (!pskb_may_pull(skb, at + sizeof(*icmp)))
		return is_many ? KIND_QUIET : KIND_NONE;
	icmp = (const void *)skb->data + at;
	if (!icmp->code && (icmp->type == request || icmp->type == reply))
		return KIND_CARRIED;
	return is_many ? KIND_QUIET : KIND_NONE;
}

static enum kind kind_inet(struct sk_buff *skb)
{
	const struct iphdr *ip = ip_hdr(skb);
	bool is_many = ipv4_is_multicast(ip->daddr) ||
		       vmc_group_is_broadcast(ip->daddr);

	if (ip->protocol == IPPROTO_IGMP)
		return KIND_REPORT;
	if (ip->ihl != sizeof(*ip) / 4 || ip_is_fragment(ip))
		return is_many ? KIND_QUIET : KIND_NONE;
	if (ip->protocol == IPPROTO_ICMP)
		return echo_kind(skb, sizeof(*ip), ICMP_ECHO, ICMP_ECHOREPLY,
				 is_many);
	if (!is_many)
		return KIND_NONE;
	return ip->protocol == IPPROTO_UDP ? KIND_CARRIED : KIND_QUIET;
}

static enum kind kind_inet6(struct sk_buff *skb)
{
	const struct ipv6hdr *ip6 = ipv6_hdr(skb);
	bool is_many = ipv6_addr_is_multicast(&ip6->daddr);

	if (ip6->nexthdr == IPPROTO_ICMPV6)
		return echo_kind(skb, sizeof(*ip6), ICMPV6_ECHO_REQUEST,
				 ICMPV6_ECHO_REPLY, is_many);
	if (!is_many)
		return KIND_NONE;
	if (ip6->nexthdr == IPPROTO_UDP)
		return KIND_CARRIED;
	/* Those of MLD have a header of options. */
	return ip6->nexthdr == IPPROTO_HOPOPTS ? KIND_REPORT : KIND_QUIET;
}

/* Packet sockets send what they like. */
static enum kind kind_of(struct sk_buff *skb)
{
	if (skb->protocol == htons(ETH_P_IP) &&
	    pskb_may_pull(skb, sizeof(struct iphdr)))
		return kind_inet(skb);
	if (skb->protocol == htons(ETH_P_IPV6) &&
	    pskb_may_pull(skb, sizeof(struct ipv6hdr)))
		return kind_inet6(skb);
	return KIND_NONE;
}

/* Locked. What is impossible in the rings ends the circuit, in the worker. */
static void hub_judge(void)
{
	if (hub.circuit->is_lying)
		queue_work(vmc_device_worker(), &hub.closer);
}

/* Locked. True: the packet is in the ring, or never will be. */
static bool hub_put(struct sk_buff *skb)
{
	struct vmc_circuit *circuit = hub.circuit;
	u32 span = vmc_record_span(skb->len);

	if (span > circuit->tx_bytes) {
		vmc_stat_inc(packets_unsent);
		return true;
	}
	if (span > vmc_circuit_writable(circuit))
		return false;
	vmc_ring_put_record(circuit, 0, skb->len, (struct vmc_record){ });
	vmc_ring_copy_from_packet(circuit, sizeof(struct vmc_record), skb, 0,
				  skb->len);
	vmc_circuit_produce(circuit, span);
	vmc_stat_inc(packets_sent);
	return true;
}

/* Locked, with a circuit. Asks for a bell if something is left. */
static void hub_flush(void)
{
	struct sk_buff *skb;
	bool is_asked = false;

	while ((skb = skb_peek(&hub.pending))) {
		if (hub_put(skb)) {
			__skb_unlink(skb, &hub.pending);
			consume_skb(skb);
			continue;
		}
		/* Look once more after the wait is announced. */
		if (is_asked || hub.circuit->is_lying)
			break;
		vmc_circuit_await_space(hub.circuit);
		is_asked = true;
	}
	hub_judge();
}

/* Locked. Tell the hub what is wanted. */
static void hub_write_groups(void)
{
	hub.written = jiffies;
	vmc_group_write(hub.circuit->own);
}

/* Packets count as their sockets' send buffer until they are in the ring. */
static bool hub_queue(struct sk_buff *skb)
{
	bool is_taken = false;

	spin_lock_bh(&hub.lock);
	if (hub.circuit && skb_queue_len(&hub.pending) < MAX_PENDING) {
		__skb_queue_tail(&hub.pending, skb);
		is_taken = true;
		if (skb_queue_len(&hub.pending) == 1)
			hub_flush();
	}
	spin_unlock_bh(&hub.lock);
	return is_taken;
}

/**
 * vmc_hub_transmit - circuit0 got a packet
 * @skb: an IP packet
 *
 * Bottom halves off, under RCU.
 *
 * Return: false if it is not the hub's; else it is taken, or dropped.
 */
bool vmc_hub_transmit(struct sk_buff *skb)
{
	enum kind kind = kind_of(skb);

	switch (kind) {
	case KIND_NONE:
		return false;
	case KIND_CARRIED:
		if (hub_queue(skb))
			return true;
		vmc_stat_inc(packets_unsent);
		break;
	case KIND_REPORT:
		vmc_hub_groups_changed();
		break;
	case KIND_QUIET:
		break;
	}
	kfree_skb(skb);
	return true;
}

/* Under RCU. False: nobody here is in the group that it is for. */
static bool packet_is_wanted(struct sk_buff *skb)
{
	if (skb->protocol == htons(ETH_P_IP)) {
		if (ipv4_is_multicast(ip_hdr(skb)->daddr)) {
			skb->pkt_type = PACKET_MULTICAST;
			return vmc_group_is_joined(ip_hdr(skb)->daddr);
		}
		if (vmc_group_is_broadcast(ip_hdr(skb)->daddr))
			skb->pkt_type = PACKET_BROADCAST;
		return true;
	}
	if (!ipv6_addr_is_multicast(&ipv6_hdr(skb)->daddr))
		return true;
	skb->pkt_type = PACKET_MULTICAST;
	return vmc_group_is_joined6(&ipv6_hdr(skb)->daddr);
}

/*
 * Locked. The packet in the record, or NULL: it has no header, nobody wants it,
 * or there is no memory. All else the kernel checks, as for any card's.
 */
static struct sk_buff *packet_take(u32 skip, u32 bytes)
{
	struct sk_buff *skb;
	u8 version;

	if (bytes < sizeof(struct iphdr))
		return NULL;
	skb = vmc_ring_to_packet(hub.circuit,
				 skip + sizeof(struct vmc_record), 0, bytes);
	if (!skb)
		return NULL;
	skb_reset_network_header(skb);
	version = ip_hdr(skb)->version;
	if (version == 6 && bytes < sizeof(struct ipv6hdr))
		goto free_packet;
	skb->protocol = version == 6 ? htons(ETH_P_IPV6) : htons(ETH_P_IP);
	skb->ip_summed = CHECKSUM_UNNECESSARY;
	if (packet_is_wanted(skb))
		return skb;
	if (time_after(jiffies, hub.written + REMIND_TICKS))
		hub_write_groups();
free_packet:
	kfree_skb(skb);
	return NULL;
}

static void hub_count_losses(void)
{
	u32 raw_unsent = le32_to_cpu(READ_ONCE(hub.circuit->peer->unsent));

	vmc_stat_add(packets_lost, raw_unsent - hub.peer_unsent);
	hub.peer_unsent = raw_unsent;
}

/* Locked, with a circuit. Return: how many records left the ring. */
static int hub_take(struct sk_buff_head *packets, int most)
{
	struct vmc_circuit *circuit = hub.circuit;
	u32 fill = vmc_circuit_readable(circuit), done = 0, span, bytes;
	struct sk_buff *skb;
	int nr = 0;

	while (done < fill && done < TURN_BYTES && nr < most) {
		bytes = le32_to_cpu(vmc_ring_record(circuit->rx,
						    circuit->rx_bytes,
						    circuit->cons + done).bytes);
		span = vmc_record_check_for(bytes, VMC_PACKET_MAX_BYTES,
					    fill - done);
		if (!span) {
			vmc_circuit_lie(circuit, "packet length", bytes);
			break;
		}
		skb = packet_take(done, bytes);
		if (skb)
			__skb_queue_tail(packets, skb);
		else
			vmc_stat_inc(packets_refused);
		nr++;
		done += span;
	}
	if (done)
		vmc_circuit_consume(circuit, done);
	hub_count_losses();
	hub_judge();
	return nr;
}

/* Whether something is there after the wait is announced. */
static bool hub_listen(void)
{
	bool is_news = false;

	spin_lock_bh(&hub.lock);
	if (hub.circuit) {
		vmc_circuit_await_data(hub.circuit);
		is_news = vmc_circuit_readable(hub.circuit);
	}
	spin_unlock_bh(&hub.lock);
	return is_news;
}

/**
 * vmc_hub_poll - give the kernel what has come
 * @napi: circuit0's
 * @budget: how many packets at most
 *
 * Return: how many, or @budget to be called again.
 */
int vmc_hub_poll(struct napi_struct *napi, int budget)
{
	struct sk_buff_head packets;
	struct sk_buff *skb;
	int nr = 0;

	__skb_queue_head_init(&packets);
	rcu_read_lock();
	spin_lock_bh(&hub.lock);
	if (hub.circuit)
		nr = hub_take(&packets, budget);
	spin_unlock_bh(&hub.lock);
	rcu_read_unlock();
	while ((skb = __skb_dequeue(&packets))) {
		vmc_stat_inc(packets_received);
		vmc_netdev_receive_polled(skb);
	}
	/* Whoever took something looks again before it asks for a bell. */
	if (nr)
		return budget;
	if (napi_complete_done(napi, 0) && hub_listen())
		napi_schedule(napi);
	return 0;
}

/* A bell rang. */
static void hub_signal(struct vmc_circuit *circuit)
{
	spin_lock(&hub.lock);
	if (hub.circuit == circuit)
		hub_flush();
	spin_unlock(&hub.lock);
	vmc_netdev_wake();
}

/* The circuit, which is nobody's then. */
static struct vmc_circuit *hub_leave(void)
{
	struct vmc_circuit *circuit;
	struct sk_buff *skb;

	spin_lock_bh(&hub.lock);
	circuit = hub.circuit;
	hub.circuit = NULL;
	while ((skb = __skb_dequeue(&hub.pending)))
		kfree_skb(skb);
	spin_unlock_bh(&hub.lock);
	return circuit;
}

static void hub_link_down(struct vmc_circuit *circuit)
{
	/* The closer may have been earlier. */
	if (READ_ONCE(hub.circuit) == circuit && hub_leave())
		vmc_circuit_release(circuit);
}

static void close_work(struct work_struct *work)
{
	struct vmc_circuit *circuit = hub_leave();

	if (circuit)
		vmc_circuit_close(circuit, true);
}

/* The switch found a lie; there will be another with the next attachment. */
static void hub_reset(struct vmc_circuit *circuit, int error)
{
	pr_warn_ratelimited("the switch ended the circuit to its hub: no multicast and no ping over circuit0 until it is restarted\n");
	queue_work(vmc_device_worker(), &hub.closer);
}

static void hub_show_names(struct seq_file *seq,
			   const struct vmc_circuit *circuit)
{
}

static const struct vmc_circuit_user hub_circuit_user = {
	.signal		= hub_signal,
	.link_down	= hub_link_down,
	.reset		= hub_reset,
	.show_names	= hub_show_names,
	.is_service	= true,
};

/**
 * vmc_hub_dial - ask for the circuit, if the switch has a hub
 *
 * Device's worker, at WELCOME.
 */
void vmc_hub_dial(void)
{
	struct vmc_connect request = {
		.cookie = cpu_to_le32(VMC_HUB_COOKIE),
		.flags = cpu_to_le32(VMC_CIRCUIT_HUB),
		.local.family = VMC_FAMILY_INET,
		.remote.family = VMC_FAMILY_INET,
	};

	if (vmc_attach_has(VMC_FEATURE_HUB))
		vmc_request_send(vmc_attach_generation(), VMC_MSG_CONNECT,
				 &request, GFP_KERNEL);
}

/**
 * vmc_hub_answered - CONNECTED came
 * @answer: unchecked
 *
 * Device's worker, or bottom halves.
 *
 * Return: false if it cannot be taken.
 */
bool vmc_hub_answered(const struct vmc_connected *answer)
{
	struct vmc_circuit *circuit = NULL;

	rcu_read_lock();
	spin_lock_bh(&hub.lock);
	if (!hub.circuit)
		circuit = vmc_circuit_create(&answer->id, &answer->place,
					     &hub_circuit_user, &hub,
					     GFP_ATOMIC);
	if (!IS_ERR_OR_NULL(circuit)) {
		hub.peer_unsent = 0;
		hub.circuit = circuit;
		hub_write_groups();
	}
	spin_unlock_bh(&hub.lock);
	rcu_read_unlock();
	if (IS_ERR_OR_NULL(circuit))
		return false;
	vmc_netdev_wake();
	return true;
}

/**
 * vmc_hub_failed - FAILED came
 * @error: positive errno
 */
void vmc_hub_failed(int error)
{
	pr_warn("the switch refuses the circuit to its hub, error %d: no multicast and no ping over circuit0\n",
		error);
}

/**
 * vmc_hub_groups_changed - somebody joined or left
 *
 * Any context but hard interrupt. When it returns the hub sends what is wanted.
 */
void vmc_hub_groups_changed(void)
{
	spin_lock_bh(&hub.lock);
	if (hub.circuit)
		hub_write_groups();
	spin_unlock_bh(&hub.lock);
}
