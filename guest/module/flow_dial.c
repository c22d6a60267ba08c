// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a flow gets its circuit: CONNECT and its answers, and OFFERs. Who gets
 * an offered one the kernel's UDP decides, with the lookup that a packet would
 * get: connected sockets, SO_REUSEPORT and its programs, wildcards.
 */
#include <linux/err.h>
#include <linux/xarray.h>
#include <net/ipv6.h>
#include <net/udp.h>
#include "attach.h"
#include "datagram.h"
#include "flow.h"
#include "link.h"
#include "netdev.h"
#include "offer.h"
#include "ready.h"
#include "request.h"
#include "stats.h"

/*
 * CONNECTs of flows under way, each with a reference to its flow. Who erases
 * the entry decides how it ends. The bit tells their cookies from those of
 * stream sockets.
 */
static DEFINE_XARRAY_FLAGS(dials, XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_BH);
static u32 next_cookie;
#define COOKIE_BIT	BIT(31)

/*
 * So long who sends to a socket of this VM waits for an answer. A switch that
 * hangs is missed within 0.9 s (attach.c), which ends all dials.
 */
#define ARRIVAL_MS	500

/**
 * vmc_flow_is_cookie - whether a CONNECT was a flow's
 * @cookie: unchecked
 */
bool vmc_flow_is_cookie(u32 cookie)
{
	return cookie & COOKIE_BIT;
}

/* A smaller ring would not take the largest datagrams. */
static __le32 wish(u32 wish_bytes)
{
	return cpu_to_le32(max(wish_bytes, VMC_DATAGRAM_RING_BYTES));
}

/* Whoever waits has nothing to wait for: all was delivered, or refused. */
static void dial_settle(struct vmc_flow *flow)
{
	struct vmc_datagram *datagram = vmc_datagram_of(flow->sk);

	if (flow->is_local && atomic_dec_and_test(&datagram->nr_awaited))
		wake_up_all(&datagram->arrival);
}

/**
 * vmc_flow_arrive - what was sent to sockets of this VM has come there
 * @sk: has sent
 *
 * As it has over lo, when send() returns: the first datagram of a flow, which
 * the switch has to be asked for, and those that follow. If their receiver has
 * room, and if the switch answers soon. May sleep; no lock is held.
 */
void vmc_flow_arrive(struct sock *sk)
{
	struct vmc_datagram *datagram = vmc_datagram_of(sk);

	if (atomic_read(&datagram->nr_awaited))
		wait_event_interruptible_timeout(datagram->arrival,
				!atomic_read(&datagram->nr_awaited),
				msecs_to_jiffies(ARRIVAL_MS));
	vmc_link_hear_own();
}

/* Locked. The dial has no circuit to show; what waits for it is told why. */
static void dial_end(struct vmc_flow *flow, int error)
{
	vmc_stat_inc(connects_failed);
	vmc_attach_drop();
	vmc_flow_drop_pending(flow, error);
	vmc_flow_finish(flow, false);
}

/*
 * As connect_request() in connect.c: the switch may go meanwhile, and either
 * we see that, or vmc_flow_fail_all() sees the entry.
 */
static int dial_request(struct vmc_flow *flow)
{
	const struct sock *sk = flow->sk;
	struct vmc_connect request = {
		.tx_bytes = wish(vmc_sock_wished_tx(sk)),
		.rx_bytes = wish(vmc_sock_wished_rx(sk)),
		.flags = cpu_to_le32(VMC_CIRCUIT_DATAGRAM),
		.local = flow->names.local,
		.remote = flow->names.remote,
	};
	int err;

	flow->attachment = vmc_attach_generation();
	if (!flow->attachment || !vmc_attach_has(VMC_FEATURE_DATAGRAM))
		return -EHOSTUNREACH;
	refcount_inc(&flow->ref);
	err = xa_alloc_cyclic_bh(&dials, &flow->cookie, flow, xa_limit_31b,
				 &next_cookie, GFP_ATOMIC);
	if (err < 0)
		goto put_flow;
	request.cookie = cpu_to_le32(flow->cookie | COOKIE_BIT);
	err = -ESTALE;
	smp_mb();
	if (vmc_attach_generation() == flow->attachment)
		err = vmc_request_send(flow->attachment, VMC_MSG_CONNECT,
				       &request, GFP_ATOMIC);
	if (!err)
		return 0;
	/* Whoever erased it waits for the lock to end the dial. */
	if (!xa_erase_bh(&dials, flow->cookie))
		return 0;
put_flow:
	vmc_flow_put(flow);
	return err;
}

/**
 * vmc_flow_dial - ask the switch for a flow's circuit
 * @flow: locked, DIALLING, new
 *
 * If that cannot be, what waits is answered and the flow is over.
 */
void vmc_flow_dial(struct vmc_flow *flow)
{
	int err;

	vmc_attach_hold();
	if (flow->is_local)
		atomic_inc(&vmc_datagram_of(flow->sk)->nr_awaited);
	err = dial_request(flow);
	if (!err)
		return;
	dial_end(flow, -err);
	dial_settle(flow);
}

/**
 * vmc_flow_give_up - nobody answered
 * @flow: locked, DIALLING
 */
void vmc_flow_give_up(struct vmc_flow *flow)
{
	struct vmc_cancel cancel = {
		.cookie = cpu_to_le32(flow->cookie | COOKIE_BIT),
	};

	if (xa_erase_bh(&dials, flow->cookie) != flow)
		return;
	vmc_request_send(flow->attachment, VMC_MSG_CANCEL, &cancel,
			 GFP_ATOMIC);
	dial_end(flow, EHOSTUNREACH);
	dial_settle(flow);
	vmc_flow_put(flow);
}

/* The flow whose CONNECT this was, taken out of the table, or NULL. */
static struct vmc_flow *dial_take(u32 cookie)
{
	return xa_erase_bh(&dials, cookie & ~COOKIE_BIT);
}

/* Locked. From now on datagrams go both ways. */
static void flow_open(struct vmc_flow *flow, struct vmc_circuit *circuit)
{
	flow->circuit = circuit;
	flow->state = VMC_FLOW_OPEN;
	flow->used = jiffies;
	flow->changed = jiffies;
	vmc_flow_flush(flow);
	/* The peer may have rung before anyone could hear it. */
	vmc_ready_look_at(flow);
}

/**
 * vmc_flow_answered - CONNECTED came
 * @answer: unchecked
 *
 * Device's worker, or bottom halves.
 *
 * Return: false if nothing was done; vmc_flow_reject() shall follow.
 */
bool vmc_flow_answered(const struct vmc_connected *answer)
{
	u32 cookie = le32_to_cpu(answer->cookie) & ~COOKIE_BIT;
	struct vmc_circuit *circuit = NULL;
	struct vmc_flow *flow;

	rcu_read_lock();
	flow = xa_load(&dials, cookie);
	if (flow) {
		spin_lock_bh(&flow->lock);
		/* A flow that is over was given up, and has no cookie. */
		if (flow->state == VMC_FLOW_DIALLING &&
		    flow->cookie == cookie)
			circuit = vmc_circuit_create(&answer->id,
						     &answer->place,
						     &vmc_flow_circuit_user,
						     flow, GFP_ATOMIC);
		if (!IS_ERR_OR_NULL(circuit)) {
			xa_erase_bh(&dials, cookie);
			vmc_attach_drop();
			vmc_stat_inc(circuits_connected);
			flow_open(flow, circuit);
		}
		spin_unlock_bh(&flow->lock);
	}
	rcu_read_unlock();
	if (IS_ERR_OR_NULL(circuit))
		return false;
	dial_settle(flow);
	vmc_flow_put(flow);
	return true;
}

/**
 * vmc_flow_reject - CONNECTED came and cannot be taken
 * @answer: unchecked
 * @attachment: now
 *
 * Device's worker.
 */
void vmc_flow_reject(const struct vmc_connected *answer, u32 attachment)
{
	vmc_circuit_reject(&answer->id, attachment);
	vmc_flow_failed(le32_to_cpu(answer->cookie), ENOBUFS);
}

/**
 * vmc_flow_failed - FAILED came
 * @cookie: unchecked
 * @error: positive errno
 *
 * Device's worker, or bottom halves.
 */
void vmc_flow_failed(u32 cookie, int error)
{
	struct vmc_flow *flow = dial_take(cookie);
	struct sk_buff_head refused;

	if (!flow)
		return;
	__skb_queue_head_init(&refused);
	spin_lock_bh(&flow->lock);
	if (flow->state == VMC_FLOW_DIALLING) {
		skb_queue_splice_init(&flow->pending, &refused);
		dial_end(flow, error);
	}
	spin_unlock_bh(&flow->lock);
	vmc_flow_refuse(&refused, error);
	dial_settle(flow);
	vmc_flow_put(flow);
}

/**
 * vmc_flow_fail_all - the switch is gone
 * @error: positive errno for each dial under way
 *
 * Device's worker.
 */
void vmc_flow_fail_all(int error)
{
	struct vmc_flow *flow;
	unsigned long cookie;

	xa_for_each(&dials, cookie, flow)
		vmc_flow_failed(cookie, error);
}

/* The socket that a datagram with these names would reach; a reference. */
static struct sock *socket_find(const struct vmc_names *names)
{
	__be16 local = htons(le16_to_cpu(names->local.port));
	__be16 remote = htons(le16_to_cpu(names->remote.port));
	const void *saddr = names->remote.address;
	const void *daddr = names->local.address;
	struct net *net = vmc_netdev_net();
	int dif = vmc_flow_device(names);

	if (names->local.family == VMC_FAMILY_INET)
		return udp4_lib_lookup(net, *(const __be32 *)saddr, remote,
				       *(const __be32 *)daddr, local, dif);
	if (names->local.family == VMC_FAMILY_INET6)
		return udp6_lib_lookup(net, saddr, remote, daddr, local, dif);
	return NULL;
}

/* 0, or the errno with which the offer is refused. */
static int offer_take(const struct vmc_offer *offer, struct sock *sk,
		      const struct vmc_names *names)
{
	struct vmc_accept accept = { .id = offer->id };
	struct vmc_circuit *circuit;
	struct vmc_flow *flow;

	/* Who unwraps datagrams in the kernel wants packets. */
	if (!vmc_datagram_is(sk) || READ_ONCE(udp_sk(sk)->encap_type))
		return ECONNREFUSED;
	flow = vmc_flow_create(sk, names, true, GFP_KERNEL);
	if (!flow)
		return ENOBUFS;
	spin_lock_bh(&flow->lock);
	circuit = vmc_circuit_create(&offer->id, &offer->place,
				     &vmc_flow_circuit_user, flow, GFP_ATOMIC);
	if (!IS_ERR(circuit)) {
		vmc_stat_inc(circuits_accepted);
		flow_open(flow, circuit);
	} else if (flow->state != VMC_FLOW_OVER) {
		vmc_flow_finish(flow, false);
	}
	spin_unlock_bh(&flow->lock);
	/* If it is over already, its CLOSE is said after this. */
	if (!IS_ERR(circuit))
		vmc_request_send(vmc_attach_generation(), VMC_MSG_ACCEPT,
				 &accept, GFP_KERNEL);
	vmc_flow_put(flow);
	return IS_ERR(circuit) ? ENOBUFS : 0;
}

/**
 * vmc_flow_offered - OFFER came for a datagram circuit
 * @offer: unchecked
 *
 * Device's worker.
 */
void vmc_flow_offered(const struct vmc_offer *offer)
{
	struct vmc_names names = {
		.local = offer->local,
		.remote = offer->remote,
	};
	int error = ECONNREFUSED;
	struct sock *sk;

	sk = socket_find(&names);
	if (sk) {
		error = offer_take(offer, sk, &names);
		sock_put(sk);
	}
	if (error)
		vmc_offer_refuse(&offer->id, error);
}
