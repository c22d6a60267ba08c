// SPDX-License-Identifier: GPL-2.0-only
/*
 * OFFERs: each becomes a child in the listener's accept queue, waits for room
 * there, or is refused. All answers are given in the device's worker, or in the
 * tasklet while the worker has nothing to do, so that none can cross a RESET or
 * a LINK_DOWN that has come. Called by listen.c and dispatch.c.
 */
#include <linux/slab.h>
#include <net/ipv6.h>
#include <net/tcp_states.h>
#include "attach.h"
#include "circuit.h"
#include "device.h"
#include "link.h"
#include "offer.h"
#include "request.h"
#include "stats.h"

/* OFFERs that may wait behind a full backlog; the next ones are refused. */
#define MAX_PENDING 4096

struct pending_offer {
	struct list_head node;
	struct vmc_offer offer;
};

/* Listeners with pending offers, each with a reference. Device's worker only. */
static LIST_HEAD(waiting);

/**
 * vmc_offer_refuse - answer an offer with REFUSE
 * @id: of the circuit
 * @error: positive errno for the dialler
 *
 * Device's worker.
 */
void vmc_offer_refuse(const struct vmc_circuit_id *id, int error)
{
	struct vmc_refuse refuse = {
		.id = *id,
		.error = cpu_to_le32(error),
	};

	vmc_stat_inc(offers_refused);
	vmc_request_send(vmc_attach_generation(), VMC_MSG_REFUSE, &refuse,
			GFP_KERNEL);
}

/* The socket that accept() will give out. Not yet visible to anyone. */
static struct sock *child_create(struct sock *parent,
				 const struct vmc_offer *offer)
{
	struct vmc_names names = {
		.local = offer->local,
		.remote = offer->remote,
	};
	struct ipv6_pinfo *np;
	struct sock *sk;

	if (offer->local.family != VMC_FAMILY_INET &&
	    (offer->local.family != VMC_FAMILY_INET6 ||
	     parent->sk_family != AF_INET6))
		return NULL;
	sk = sk_clone_lock(parent, GFP_ATOMIC);
	if (!sk)
		return NULL;
	vmc_sock_init(sk);
	inet_sk(sk)->inet_opt = NULL;
	inet_sk(sk)->mc_list = NULL;
	if (sk->sk_family == AF_INET6) {
		np = &((struct vmc6_sock *)sk)->inet6;
		memcpy(np, inet6_sk(parent), sizeof(*np));
		inet_sk(sk)->pinet6 = np;
		np->ipv6_mc_list = NULL;
		np->ipv6_ac_list = NULL;
		inet_sk(sk)->ipv6_fl_list = NULL;
		np->pktoptions = NULL;
		RCU_INIT_POINTER(np->opt, NULL);
	}
	sk->sk_max_ack_backlog = 0;
	inet_sk_set_state(sk, TCP_CLOSE);
	vmc_sock_set_names(sk, &names);
	return sk;
}

/* Locked as sk_clone_lock() left it. */
static void child_destroy(struct sock *sk)
{
	bh_unlock_sock(sk);
	sock_orphan(sk);
	sock_put(sk);
	sock_put(sk);
}

/**
 * vmc_offer_room - how many children the accept queue takes
 * @listener: its lock is held
 *
 * One more than the backlog, as TCP's.
 */
u32 vmc_offer_room(const struct vmc_listener *listener)
{
	u32 backlog = READ_ONCE(listener->sk->sk_max_ack_backlog);

	return listener->nr_ready <= backlog ?
	       backlog + 1 - listener->nr_ready : 0;
}

/*
 * A child with its circuit is complete: put it to the end of the accept queue,
 * and say ACCEPT before anyone can close it, for the switch wants that first.
 * False, and nothing is done, if nobody listens any more. Child locked.
 */
static bool child_queue(struct vmc_listener *listener, struct sock *sk,
			struct vmc_circuit *circuit,
			const struct vmc_circuit_id *id,
			struct vmc_request *request)
{
	struct vmc_accept accept = { .id = *id };
	bool is_ready;

	spin_lock(&listener->lock);
	is_ready = !listener->is_stopped;
	if (is_ready) {
		vmc_stat_inc(circuits_accepted);
		rcu_assign_pointer(vmc_sk(sk)->circuit, circuit);
		vmc_sock_establish(sk);
		accept.room = cpu_to_le32(vmc_offer_room(listener));
		vmc_request_submit(request, circuit->link->attachment,
				   VMC_MSG_ACCEPT, &accept, true);
		list_add_tail(&vmc_sk(sk)->accept_node, &listener->ready);
	}
	spin_unlock(&listener->lock);
	return is_ready;
}

/*
 * Answer one offer, which is counted in nr_ready, with a child and ACCEPT. Or
 * nothing happens, and the return value is a negative errno for the dialler.
 */
static int offer_take(struct vmc_listener *listener,
		      const struct vmc_offer *offer, gfp_t gfp)
{
	struct vmc_request *request = vmc_request_alloc(gfp);
	struct sock *parent = listener->sk, *sk;
	struct vmc_circuit *circuit;
	int err = -ENOMEM;

	if (!request)
		return err;
	/* The clone comes locked, so no softirq may come in between. */
	local_bh_disable();
	sk = child_create(parent, offer);
	if (!sk)
		goto free_request;
	err = -ENOBUFS;
	circuit = vmc_circuit_create(&offer->id, &offer->place,
				     &vmc_sock_circuit_user, sk, GFP_ATOMIC);
	if (IS_ERR(circuit))
		goto destroy_child;
	err = -ECONNREFUSED;
	if (!child_queue(listener, sk, circuit, &offer->id, request))
		goto release_circuit;
	bh_unlock_sock(sk);
	local_bh_enable();
	sock_put(sk);		/* the other reference is the queue's */
	parent->sk_data_ready(parent);
	return 0;

release_circuit:
	vmc_circuit_release(circuit);
destroy_child:
	child_destroy(sk);
free_request:
	local_bh_enable();
	vmc_request_free(request);
	return err;
}

/* Whether an offer may be taken; counts it then. */
static bool listener_reserve(struct vmc_listener *listener)
{
	bool has_room;

	spin_lock_bh(&listener->lock);
	has_room = vmc_offer_room(listener);
	if (has_room)
		listener->nr_ready++;
	spin_unlock_bh(&listener->lock);
	return has_room;
}

static void listener_unreserve(struct vmc_listener *listener)
{
	spin_lock_bh(&listener->lock);
	listener->nr_ready--;
	spin_unlock_bh(&listener->lock);
}

/* Answer one offer, which is counted in nr_ready. Device's worker. */
static void offer_answer(struct vmc_listener *listener,
			 const struct vmc_offer *offer)
{
	int err = offer_take(listener, offer, GFP_KERNEL);

	if (!err)
		return;
	listener_unreserve(listener);
	vmc_offer_refuse(&offer->id, -err);
}

/* The caller has a reference to the socket beside that of the list. */
static void pending_forget(struct vmc_listener *listener,
			   struct pending_offer *pending)
{
	list_del(&pending->node);
	kfree(pending);
	if (!--listener->nr_pending) {
		list_del(&listener->waiting);
		sock_put(listener->sk);
	}
}

/* Take what there is room for; refuse everything once it is stopped. */
static void listener_run_pending(struct vmc_listener *listener)
{
	struct pending_offer *pending, *next;

	list_for_each_entry_safe(pending, next, &listener->pending, node) {
		if (READ_ONCE(listener->is_stopped))
			vmc_offer_refuse(&pending->offer.id, ECONNREFUSED);
		else if (listener_reserve(listener))
			offer_answer(listener, &pending->offer);
		else
			return;
		pending_forget(listener, pending);
	}
}

static void pending_work(struct work_struct *work)
{
	struct vmc_listener *listener = container_of(work, struct vmc_listener,
						     pending_work);

	listener_run_pending(listener);
	sock_put(listener->sk);
}

/**
 * vmc_offer_arrived_early - take an OFFER at once, if that is simple
 * @listener: the caller holds its socket
 * @offer: unchecked
 *
 * Bottom halves, while the device's worker handles no message; it may be at
 * offers that waited for room, which then come first.
 *
 * Return: false if nothing was done; vmc_offer_arrived() shall follow.
 */
bool vmc_offer_arrived_early(struct vmc_listener *listener,
			     const struct vmc_offer *offer)
{
	if (!list_empty_careful(&listener->pending) ||
	    !listener_reserve(listener))
		return false;
	if (!offer_take(listener, offer, GFP_ATOMIC))
		return true;
	listener_unreserve(listener);
	return false;
}

/**
 * vmc_offer_arrived - OFFER came for a listener
 * @listener: the caller holds its socket
 * @offer: unchecked
 *
 * Device's worker.
 */
void vmc_offer_arrived(struct vmc_listener *listener,
		       const struct vmc_offer *offer)
{
	struct pending_offer *pending;

	if (READ_ONCE(listener->is_stopped) ||
	    listener->nr_pending >= MAX_PENDING) {
		vmc_offer_refuse(&offer->id, ECONNREFUSED);
		return;
	}
	if (list_empty(&listener->pending) && listener_reserve(listener)) {
		offer_answer(listener, offer);
		return;
	}
	pending = kmalloc(sizeof(*pending), GFP_KERNEL);
	if (!pending) {
		vmc_offer_refuse(&offer->id, ENOMEM);
		return;
	}
	pending->offer = *offer;
	list_add_tail(&pending->node, &listener->pending);
	if (!listener->nr_pending++) {
		sock_hold(listener->sk);
		list_add(&listener->waiting, &waiting);
	}
	/* Room may have come just before there was anything to take. */
	listener_run_pending(listener);
}

/**
 * vmc_offer_init - make a listener's queue
 * @listener: all zero
 * @sk: its socket
 */
void vmc_offer_init(struct vmc_listener *listener, struct sock *sk)
{
	listener->sk = sk;
	init_completion(&listener->answered);
	spin_lock_init(&listener->lock);
	INIT_LIST_HEAD(&listener->ready);
	INIT_LIST_HEAD(&listener->pending);
	INIT_WORK(&listener->pending_work, pending_work);
}

/**
 * vmc_offer_wake - accept() made room, or the listener stopped
 * @listener: the caller holds its socket
 *
 * Process context.
 */
void vmc_offer_wake(struct vmc_listener *listener)
{
	if (list_empty_careful(&listener->pending))
		return;
	sock_hold(listener->sk);
	if (!queue_work(vmc_device_worker(), &listener->pending_work))
		sock_put(listener->sk);
}

/* Forget the pending offers that @is_meant; how many there were. */
static unsigned int pending_sweep(bool (*is_meant)(const struct vmc_circuit_id *,
						   const void *),
				  const void *what)
{
	struct pending_offer *pending, *next;
	struct vmc_listener *listener, *next_listener;
	unsigned int nr_found = 0;
	struct sock *sk;

	list_for_each_entry_safe(listener, next_listener, &waiting, waiting) {
		sk = listener->sk;
		sock_hold(sk);
		list_for_each_entry_safe(pending, next, &listener->pending,
					 node) {
			if (!is_meant(&pending->offer.id, what))
				continue;
			pending_forget(listener, pending);
			nr_found++;
		}
		sock_put(sk);
	}
	return nr_found;
}

static bool is_circuit(const struct vmc_circuit_id *id, const void *what)
{
	const struct vmc_circuit_id *other = what;

	return id->link == other->link && id->slot == other->slot &&
	       id->generation == other->generation;
}

static bool is_of_link(const struct vmc_circuit_id *id, const void *what)
{
	return le32_to_cpu(id->link) == *(const u32 *)what;
}

static bool is_any(const struct vmc_circuit_id *id, const void *what)
{
	return true;
}

/**
 * vmc_offer_withdraw - RESET came; perhaps for an offer that still waits
 * @id: unchecked
 *
 * Device's worker.
 *
 * Return: true if it was one; it is forgotten then.
 */
bool vmc_offer_withdraw(const struct vmc_circuit_id *id)
{
	return pending_sweep(is_circuit, id);
}

/**
 * vmc_offer_forget_link - LINK_DOWN came: its offers are void
 * @link: unchecked
 *
 * Device's worker, before the link is released.
 */
void vmc_offer_forget_link(u32 link)
{
	pending_sweep(is_of_link, &link);
}

/**
 * vmc_offer_forget_all - the switch is gone, and its offers with it
 *
 * Device's worker.
 */
void vmc_offer_forget_all(void)
{
	pending_sweep(is_any, NULL);
}
