// SPDX-License-Identifier: GPL-2.0-only
/*
 * Datagrams out of rings. The quick way is from the ring into the program's
 * memory. Otherwise each becomes a packet in the socket's own receive queue,
 * from which the kernel's UDP gives it out: so everything that recvmsg() can be
 * asked is answered by UDP. A ring is emptied as far as the receive buffer has
 * room; what does not fit stays, and in the end holds up the sender.
 */
#include <linux/filter.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/udp.h>
#include "compat.h"
#include "datagram.h"
#include "flow.h"
#include "netdev.h"
#include "ring_copy.h"
#include "stats.h"

/* Datagrams of one flow before others have their turn. */
#define BUDGET		64

#define HOP_LIMIT	64

static bool is_wanted_inet(const struct sock *sk, const struct vmc_flow *flow)
{
	const struct inet_sock *inet = inet_sk(sk);
	__be32 remote, local;

	memcpy(&remote, flow->names.remote.address, sizeof(remote));
	memcpy(&local, flow->names.local.address, sizeof(local));
	return (!READ_ONCE(inet->inet_daddr) ||
		READ_ONCE(inet->inet_daddr) == remote) &&
	       (!READ_ONCE(inet->inet_rcv_saddr) ||
		READ_ONCE(inet->inet_rcv_saddr) == local);
}

static bool is_wanted_inet6(const struct sock *sk, const struct vmc_flow *flow)
{
	struct in6_addr remote, local;

	memcpy(&remote, flow->names.remote.address, sizeof(remote));
	memcpy(&local, flow->names.local.address, sizeof(local));
	return (ipv6_addr_any(&sk->sk_v6_daddr) ||
		ipv6_addr_equal(&sk->sk_v6_daddr, &remote)) &&
	       (ipv6_addr_any(&sk->sk_v6_rcv_saddr) ||
		ipv6_addr_equal(&sk->sk_v6_rcv_saddr, &local));
}

/**
 * vmc_flow_device - the index of the device that its packets would come by
 * @names: of a flow
 *
 * That of the address that was sent to, as the kernel has it for what it sends to
 * itself, too.
 */
int vmc_flow_device(const struct vmc_names *names)
{
	struct in6_addr local;
	bool is_loopback;

	memcpy(&local, names->local.address, sizeof(local));
	is_loopback = names->local.family == VMC_FAMILY_INET ?
		      ipv4_is_loopback(local.s6_addr32[0]) :
		      ipv6_addr_loopback(&local);
	return is_loopback ? LOOPBACK_IFINDEX : vmc_netdev_ifindex();
}

/**
 * vmc_flow_is_wanted - whether its socket wants what comes
 * @flow: any
 *
 * As the socket is bound and connected now.
 */
bool vmc_flow_is_wanted(const struct vmc_flow *flow)
{
	const struct sock *sk = flow->sk;
	__be16 port = READ_ONCE(inet_sk(sk)->inet_dport);
	int device = READ_ONCE(sk->sk_bound_dev_if);

	/* A port that bind() did not choose goes with a disconnect. */
	if ((device && device != vmc_flow_device(&flow->names)) ||
	    READ_ONCE(inet_sk(sk)->inet_num) !=
	    le16_to_cpu(flow->names.local.port) ||
	    (port && ntohs(port) != le16_to_cpu(flow->names.remote.port)))
		return false;
	return flow->names.remote.family == VMC_FAMILY_INET ?
	       is_wanted_inet(sk, flow) : is_wanted_inet6(sk, flow);
}

/* The headers of the packet that this datagram would have come in. */
static void packet_put_headers(struct sk_buff *skb,
			       const struct vmc_flow *flow, u32 bytes,
			       const struct vmc_record *record)
{
	bool is_inet = flow->names.remote.family == VMC_FAMILY_INET;
	int device = vmc_flow_device(&flow->names);
	u32 ip_bytes = is_inet ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	u8 hop_limit = record->hop_limit ? : HOP_LIMIT;
	u16 udp_bytes = bytes + sizeof(struct udphdr);
	struct ipv6hdr *ip6;
	struct udphdr *udp;
	struct iphdr *ip;

	skb_reset_network_header(skb);
	skb_set_transport_header(skb, ip_bytes);
	memset(skb->data, 0, ip_bytes + sizeof(*udp));
	memset(skb->cb, 0, sizeof(skb->cb));
	if (is_inet) {
		ip = ip_hdr(skb);
		ip->version = 4;
		ip->ihl = sizeof(*ip) / 4;
		ip->tot_len = htons(ip_bytes + udp_bytes);
		ip->tos = record->traffic_class;
		ip->ttl = hop_limit;
		ip->protocol = IPPROTO_UDP;
		memcpy(&ip->saddr, flow->names.remote.address, 4);
		memcpy(&ip->daddr, flow->names.local.address, 4);
		PKTINFO_SKB_CB(skb)->ipi_ifindex = device;
		PKTINFO_SKB_CB(skb)->ipi_spec_dst.s_addr = ip->daddr;
		skb->protocol = htons(ETH_P_IP);
	} else {
		ip6 = ipv6_hdr(skb);
		ip6->payload_len = htons(udp_bytes);
		ip6->nexthdr = IPPROTO_UDP;
		ip6_flow_hdr(ip6, record->traffic_class, 0);
		ip6->hop_limit = hop_limit;
		memcpy(&ip6->saddr, flow->names.remote.address, 16);
		memcpy(&ip6->daddr, flow->names.local.address, 16);
		IP6CB(skb)->iif = device;
		skb->protocol = htons(ETH_P_IPV6);
	}
	udp = udp_hdr(skb);
	udp->source = htons(le16_to_cpu(flow->names.remote.port));
	udp->dest = htons(le16_to_cpu(flow->names.local.port));
	udp->len = htons(udp_bytes);
	skb->ip_summed = CHECKSUM_UNNECESSARY;
	skb->skb_iif = device;
	__skb_pull(skb, ip_bytes);
}

/* The packet that this datagram would have come in; NULL without memory. */
static struct sk_buff *packet_create(const struct vmc_flow *flow, u32 skip,
				     u32 bytes,
				     const struct vmc_record *record)
{
	u32 ip_bytes = flow->names.remote.family == VMC_FAMILY_INET ?
		       sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	struct sk_buff *skb;

	skb = vmc_ring_to_packet(flow->circuit,
				 skip + sizeof(struct vmc_record),
				 ip_bytes + sizeof(struct udphdr), bytes);
	if (skb)
		packet_put_headers(skb, flow, bytes, record);
	return skb;
}

/*
 * Put a packet at the end of the socket's queue as __udp_enqueue_schedule_skb()
 * does, which not all kernels export, and account it likewise: UDP takes it
 * for its own from here on. -ENOBUFS: all of UDP has too much memory.
 */
static int packet_queue(struct sock *sk, struct sk_buff *skb)
{
	struct udp_dev_scratch *scratch = udp_skb_scratch(skb);
	int bytes = skb->truesize;

	scratch->_tsize_state = bytes;
	scratch->len = skb->len;
	scratch->is_linear = !skb_is_nonlinear(skb);
	scratch->csum_unnecessary = true;
	spin_lock_bh(&sk->sk_receive_queue.lock);
	if (bytes > sk->sk_forward_alloc &&
	    !__sk_mem_schedule(sk, bytes - sk->sk_forward_alloc,
			       SK_MEM_RECV)) {
		spin_unlock_bh(&sk->sk_receive_queue.lock);
		return -ENOBUFS;
	}
	sk_forward_alloc_add(sk, -bytes);
	atomic_add(bytes, &sk->sk_rmem_alloc);
	sock_skb_set_dropcount(sk, skb);
	__skb_queue_tail(&sk->sk_receive_queue, skb);
	spin_unlock_bh(&sk->sk_receive_queue.lock);
	if (!sock_flag(sk, SOCK_DEAD))
		READ_ONCE(sk->sk_data_ready)(sk);
	return 0;
}

/*
 * Locked. 0; 1 when the socket does not want it; -ENOBUFS when it stays in the
 * ring for want of memory.
 */
static int flow_give(struct vmc_flow *flow, u32 skip, u32 bytes,
		     const struct vmc_record *record)
{
	struct sock *sk = flow->sk;
	struct sk_buff *skb;
	int err;

	skb = packet_create(flow, skip, bytes, record);
	if (!skb)
		return -ENOBUFS;
	if (sk->sk_flags & SK_FLAGS_TIMESTAMP)
		__net_timestamp(skb);
	if (rcu_access_pointer(sk->sk_filter) &&
	    sk_filter_trim_cap(sk, skb, sizeof(struct udphdr))) {
		kfree_skb(skb);
		return 1;
	}
	__skb_pull(skb, sizeof(struct udphdr));
	err = packet_queue(sk, skb);
	if (err)
		kfree_skb(skb);
	return err;
}

/* Locked. Others could not be given out, here or by the peer. */
static void flow_count_losses(struct vmc_flow *flow, unsigned int nr_refused)
{
	struct vmc_circuit *circuit = flow->circuit;
	u32 raw_unsent = le32_to_cpu(READ_ONCE(circuit->peer->unsent));
	u32 nr_unsent = raw_unsent - flow->peer_unsent;

	if (nr_unsent) {
		flow->peer_unsent = raw_unsent;
		vmc_stat_add(datagrams_unsent_peer, nr_unsent);
		vmc_drops_add(flow->sk, nr_unsent);
	}
	if (nr_refused) {
		flow->own_refused += nr_refused;
		WRITE_ONCE(circuit->own->refused,
			   cpu_to_le32(flow->own_refused));
		vmc_stat_add(datagrams_refused, nr_refused);
		vmc_drops_add(flow->sk, nr_refused);
	}
}

static int put_name(const struct sock *sk, const struct vmc_name *name,
		    void *ret_address)
{
	struct sockaddr_in6 *sin6 = ret_address;
	struct sockaddr_in *sin = ret_address;
	__be16 port = htons(le16_to_cpu(name->port));
	__be32 v4;

	memcpy(&v4, name->address, sizeof(v4));
	if (sk->sk_family == AF_INET) {
		*sin = (struct sockaddr_in){
			.sin_family = AF_INET,
			.sin_port = port,
			.sin_addr.s_addr = v4,
		};
		return sizeof(*sin);
	}
	*sin6 = (struct sockaddr_in6){
		.sin6_family = AF_INET6,
		.sin6_port = port,
	};
	if (name->family == VMC_FAMILY_INET)
		ipv6_addr_set_v4mapped(v4, &sin6->sin6_addr);
	else
		memcpy(&sin6->sin6_addr, name->address, 16);
	return sizeof(*sin6);
}

/**
 * vmc_flow_take - the quick way: from the ring into the program's memory
 * @flow: locked, open; whatever came earlier was given out
 * @msg: where to; gets the name and MSG_TRUNC
 * @room_bytes: there
 *
 * Return: the datagram's true length, or -EAGAIN when there is none, when it is
 * not for the socket or a lie, or a page of the program's is not there: the
 * other way knows what to do.
 */
int vmc_flow_take(struct vmc_flow *flow, struct msghdr *msg, size_t room_bytes)
{
	struct vmc_circuit *circuit = flow->circuit;
	struct iov_iter to = msg->msg_iter;
	u32 fill, bytes, span, wish;

	fill = vmc_circuit_readable(circuit);
	if (!fill || !vmc_flow_is_wanted(flow))
		return -EAGAIN;
	bytes = le32_to_cpu(vmc_ring_record(circuit->rx, circuit->rx_bytes,
					    circuit->cons).bytes);
	span = vmc_record_check(bytes, fill);
	if (!span)
		return -EAGAIN;
	wish = min_t(size_t, bytes, room_bytes);
	pagefault_disable();
	fill = vmc_ring_copy_out(circuit, sizeof(struct vmc_record), wish, &to);
	pagefault_enable();
	if (fill < wish)
		return -EAGAIN;
	if (wish < bytes)
		msg->msg_flags |= MSG_TRUNC;
	if (msg->msg_name)
		msg->msg_namelen = put_name(flow->sk, &flow->names.remote,
					    msg->msg_name);
	vmc_stat_inc(datagrams_received);
	flow->used = jiffies;
	vmc_circuit_consume(circuit, span);
	return bytes;
}

/**
 * vmc_flow_drain - give the socket what has come, as far as it has room
 * @flow: locked, with a circuit
 * @ret_is_stuck: something is left for want of room or memory
 *
 * Each record's length is read once. A lie leaves the circuit is_lying.
 *
 * Return: how many datagrams left the ring.
 */
unsigned int vmc_flow_drain(struct vmc_flow *flow, bool *ret_is_stuck)
{
	struct vmc_circuit *circuit = flow->circuit;
	u32 fill = vmc_circuit_readable(circuit), done = 0, span, bytes;
	unsigned int nr = 0, nr_refused = 0;
	struct sock *sk = flow->sk;
	struct vmc_record record;
	bool is_welcome;
	int given;

	*ret_is_stuck = false;
	if (READ_ONCE(vmc_datagram_of(sk)->is_closed))
		return 0;
	is_welcome = !fill || vmc_flow_is_wanted(flow);
	while (done < fill && nr < BUDGET) {
		record = vmc_ring_record(circuit->rx, circuit->rx_bytes,
					 circuit->cons + done);
		bytes = le32_to_cpu(record.bytes);
		span = vmc_record_check(bytes, fill - done);
		if (!span) {
			vmc_circuit_lie(circuit, "datagram length", bytes);
			break;
		}
		given = 1;
		if (is_welcome) {
			*ret_is_stuck = atomic_read(&sk->sk_rmem_alloc) >
					READ_ONCE(sk->sk_rcvbuf);
			if (*ret_is_stuck)
				break;
			given = flow_give(flow, done, bytes, &record);
			*ret_is_stuck = given < 0;
			if (*ret_is_stuck)
				break;
		}
		nr_refused += given;
		nr++;
		done += span;
	}
	flow_count_losses(flow, nr_refused);
	if (!done)
		return 0;
	vmc_stat_add(datagrams_received, nr - nr_refused);
	flow->used = jiffies;
	vmc_circuit_consume(circuit, done);
	return nr;
}
