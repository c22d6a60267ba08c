// SPDX-License-Identifier: GPL-2.0-only
/*
 * One end of a circuit: its two rings and control pages. Owns the private
 * indexes; checks what the peer says; knows when to ring. Does not copy data
 * (ring_copy.c) and knows no socket calls.
 *
 * Barriers are lettered as in proto/ring.h. Unless said otherwise the caller
 * holds the lock of the circuit's owner: the socket's, or the flow's.
 */
#define pr_fmt(fmt) "vmcircuit: " fmt
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include "attach.h"
#include "circuit.h"
#include "compat.h"
#include "link.h"
#include "request.h"
#include "stats.h"

/**
 * vmc_circuit_create - take a seat in a link
 * @id: from the switch, unchecked
 * @place: from the switch, unchecked
 * @user: whom to tell of it
 * @owner: whose circuit it is; must be freed by RCU only
 * @gfp: for the memory
 *
 * Doorbells may come at once. Any context but hard interrupt.
 *
 * Return: the circuit, or an error pointer: -ENOLINK if there is no such link,
 * -EINVAL for nonsense, -EBUSY if the slot is taken, -ENOMEM.
 */
struct vmc_circuit *vmc_circuit_create(const struct vmc_circuit_id *id,
				       const struct vmc_ring_place *place,
				       const struct vmc_circuit_user *user,
				       void *owner, gfp_t gfp)
{
	u64 tx_offset = le64_to_cpu(place->tx_offset);
	u64 rx_offset = le64_to_cpu(place->rx_offset);
	u32 tx_bytes = le32_to_cpu(place->tx_bytes);
	u32 rx_bytes = le32_to_cpu(place->rx_bytes);
	u32 slot = le32_to_cpu(id->slot);
	struct vmc_circuit *circuit;
	struct vmc_link *link;
	u64 ctl_offset;
	int err;

	link = vmc_link_get(le32_to_cpu(id->link));
	if (!link)
		return ERR_PTR(-ENOLINK);
	err = -EINVAL;
	if (slot >= VMC_SLOTS_PER_LINK ||
	    !vmc_ring_fits(tx_offset, tx_bytes, link->segment_bytes) ||
	    !vmc_ring_fits(rx_offset, rx_bytes, link->segment_bytes))
		goto put_link;
	err = -ENOMEM;
	circuit = kzalloc(sizeof(*circuit), gfp);
	if (!circuit)
		goto put_link;
	ctl_offset = VMC_CTL_OFFSET + (u64)slot * sizeof(struct vmc_ctl);
	circuit->link = link;
	circuit->user = user;
	circuit->owner = owner;
	circuit->slot = slot;
	circuit->generation = le32_to_cpu(id->generation);
	circuit->tx_bytes = tx_bytes;
	circuit->rx_bytes = rx_bytes;
	circuit->tx_limit = tx_bytes;
	circuit->own = (void *)link->tx + ctl_offset;
	circuit->peer = (const void *)link->rx + ctl_offset;
	circuit->tx = (u8 *)link->tx + tx_offset;
	circuit->rx = (const u8 *)link->rx + rx_offset;
	circuit->state = VMC_STATE_OPEN;
	err = vmc_link_seat(link, slot, circuit);
	if (err)
		goto free_circuit;
	if (!user->is_service)
		vmc_attach_hold();
	return circuit;

free_circuit:
	kfree(circuit);
put_link:
	vmc_link_put(link);
	return ERR_PTR(err);
}

/*
 * After something was published: whether the peer asked for a bell on data since
 * it had one. The request is used up.
 */
static bool circuit_is_data_awaited(struct vmc_circuit *circuit)
{
	u32 raw_wait;

	smp_mb(); /* B */
	raw_wait = le32_to_cpu(READ_ONCE(circuit->peer->data_wait));
	if (raw_wait == circuit->peer_data_wait)
		return false;
	circuit->peer_data_wait = raw_wait;
	return true;
}

/* False: all that was said before. */
static bool circuit_say_flags(struct vmc_circuit *circuit, u32 flags)
{
	if ((circuit->flags | flags) == circuit->flags)
		return false;
	circuit->flags |= flags;
	smp_store_release(&circuit->own->flags, cpu_to_le32(circuit->flags));
	return true;
}

static void circuit_say_close(const struct vmc_circuit_id *id, u32 attachment,
			      bool is_urgent)
{
	struct vmc_close close = { .id = *id };

	vmc_request_submit(vmc_request_alloc(GFP_KERNEL), attachment,
			   VMC_MSG_CLOSE, &close, is_urgent);
}

/**
 * vmc_circuit_close - end our part, tell peer and switch
 * @circuit: no longer its socket's; freed after a grace period
 * @abort: reset the peer instead of ending in order
 *
 * May sleep.
 */
void vmc_circuit_close(struct vmc_circuit *circuit, bool abort)
{
	struct vmc_circuit_id id = {
		.link = cpu_to_le32(circuit->link->id),
		.slot = cpu_to_le32(circuit->slot),
		.generation = cpu_to_le32(circuit->generation),
	};
	bool is_news;

	is_news = circuit_say_flags(circuit, VMC_CTL_FIN | VMC_CTL_GONE |
				    (abort ? VMC_CTL_RST : 0));
	/* The uplink is the switch, whom CLOSE tells. */
	if (is_news && !circuit->link->is_uplink)
		vmc_link_ring(circuit->link, circuit->slot);
	vmc_circuit_step(circuit, VMC_EVENT_CLOSE);
	/*
	 * In this order: the slot may have another user once the switch knows,
	 * and LINK_RELEASED, which the last reference brings, ends the link.
	 */
	vmc_link_unseat(circuit->link, circuit->slot, circuit);
	/* Nobody but the uplink waits for it. */
	if (!READ_ONCE(circuit->link->is_dead))
		circuit_say_close(&id, circuit->link->attachment,
				  circuit->link->is_uplink);
	vmc_circuit_release(circuit);
}

/**
 * vmc_circuit_reject - end a circuit that nobody here wants
 * @id: from CONNECTED, unchecked
 * @attachment: now
 *
 * Device's worker. The peer has accepted already, so it is reset.
 */
void vmc_circuit_reject(const struct vmc_circuit_id *id, u32 attachment)
{
	struct vmc_link *link = vmc_link_get(le32_to_cpu(id->link));
	u32 slot = le32_to_cpu(id->slot);
	struct vmc_ctl *own;

	if (link && slot < VMC_SLOTS_PER_LINK) {
		own = (void *)link->tx + VMC_CTL_OFFSET +
		      (u64)slot * sizeof(*own);
		smp_store_release(&own->flags,
				  cpu_to_le32(VMC_CTL_FIN | VMC_CTL_GONE |
					      VMC_CTL_RST));
		vmc_link_ring(link, slot);
	}
	circuit_say_close(id, attachment, false);
	if (link)
		vmc_link_put(link);
}

/**
 * vmc_circuit_release - touch the rings no more
 * @circuit: freed after a grace period
 *
 * Any context but hard interrupt.
 */
void vmc_circuit_release(struct vmc_circuit *circuit)
{
	vmc_link_unseat(circuit->link, circuit->slot, circuit);
	vmc_link_put(circuit->link);
	if (!circuit->user->is_service) {
		vmc_stat_inc(circuits_closed);
		vmc_attach_drop();
	}
	kfree_rcu(circuit, rcu);
}

/**
 * vmc_circuit_step - go to the next state
 * @circuit: whose
 * @event: what happened
 *
 * Return: false if the event may not happen now; nothing changed then.
 */
bool vmc_circuit_step(struct vmc_circuit *circuit, enum vmc_event event)
{
	enum vmc_state next = vmc_state_next(circuit->state, event);

	vmc_assert(next != VMC_STATE_INVALID);
	if (next == VMC_STATE_INVALID)
		return false;
	circuit->state = next;
	return true;
}

/**
 * vmc_circuit_lie - the peer was caught
 * @circuit: whose; is_lying from now on
 * @what: it lied about
 * @raw: what it said
 *
 * Return: 0, for whoever wanted a number.
 */
u32 vmc_circuit_lie(struct vmc_circuit *circuit, const char *what, u32 raw)
{
	if (!circuit->is_lying) {
		circuit->is_lying = true;
		vmc_stat_inc(lies);
		pr_warn_ratelimited("peer %s, slot %u: %s %u is impossible, circuit reset\n",
				    circuit->link->peer, circuit->slot, what,
				    raw);
	}
	return 0;
}

/* A program's index is unchecked; a lie hits its own circuit, see hints. */
static u32 circuit_cons(const struct vmc_circuit *circuit)
{
	return READ_ONCE(circuit->is_mapped) ?
	       le32_to_cpu(READ_ONCE(circuit->own->cons)) :
	       READ_ONCE(circuit->cons);
}

static u32 circuit_prod(const struct vmc_circuit *circuit)
{
	return READ_ONCE(circuit->is_mapped) ?
	       le32_to_cpu(READ_ONCE(circuit->own->prod)) :
	       READ_ONCE(circuit->prod);
}

static u32 circuit_rx_fill(const struct vmc_circuit *circuit, u32 *ret_raw)
{
	*ret_raw = unlikely(READ_ONCE(circuit->is_cut)) ? circuit->rx_end :
		le32_to_cpu(smp_load_acquire(&circuit->peer->prod)); /* A' */
	return vmc_ring_fill(*ret_raw, circuit_cons(circuit));
}

static u32 circuit_tx_fill(const struct vmc_circuit *circuit, u32 *ret_raw)
{
	*ret_raw = le32_to_cpu(smp_load_acquire(&circuit->peer->cons)); /* C' */
	return vmc_ring_fill(circuit_prod(circuit), *ret_raw);
}

/**
 * vmc_circuit_readable - bytes that wait to be received
 * @circuit: owned: nobody else moves our index
 *
 * A lie is remembered in is_lying and counts as nothing. While a program moves
 * the index this is no more than a hint.
 */
u32 vmc_circuit_readable(struct vmc_circuit *circuit)
{
	u32 raw_prod, fill = circuit_rx_fill(circuit, &raw_prod);

	if (likely(fill <= circuit->rx_bytes))
		return fill;
	if (circuit->is_mapped)
		return circuit->rx_bytes;
	return vmc_circuit_lie(circuit, "producer index", raw_prod);
}

/**
 * vmc_circuit_cut - take nothing more from the peer
 * @circuit: owned
 * @end: index up to which its data counts, of those that were readable
 */
void vmc_circuit_cut(struct vmc_circuit *circuit, u32 end)
{
	circuit->rx_end = end;
	WRITE_ONCE(circuit->is_cut, true);
}

/**
 * vmc_circuit_writable - bytes that may be sent now
 * @circuit: as in vmc_circuit_readable()
 */
u32 vmc_circuit_writable(struct vmc_circuit *circuit)
{
	u32 raw_cons, fill = circuit_tx_fill(circuit, &raw_cons);

	if (likely(fill <= circuit->tx_bytes))
		return circuit->tx_bytes - fill;
	if (circuit->is_mapped)
		return circuit->tx_bytes;
	return vmc_circuit_lie(circuit, "consumer index", raw_cons);
}

/**
 * vmc_circuit_bound - let no more bytes wait in the ring than that
 * @circuit: whose
 * @bytes: wished size; what is in the ring already stays
 *
 * As if the ring had been made for that wish, but it cannot grow.
 */
void vmc_circuit_bound(struct vmc_circuit *circuit, u32 bytes)
{
	WRITE_ONCE(circuit->tx_limit,
		   min(vmc_ring_size_for(bytes), circuit->tx_bytes));
}

/**
 * vmc_circuit_room - bytes that a socket may send now
 * @circuit: as in vmc_circuit_readable()
 *
 * vmc_circuit_writable() within vmc_circuit_bound(), behind what is held back.
 */
u32 vmc_circuit_room(struct vmc_circuit *circuit)
{
	u32 fill = circuit->tx_bytes - vmc_circuit_writable(circuit) +
		   circuit->held;

	return fill < circuit->tx_limit ? circuit->tx_limit - fill : 0;
}

/**
 * vmc_circuit_readable_hint - whether it is worth to look
 * @circuit: not owned; under RCU or the socket's lock
 *
 * Our own index may move between the two loads, so an impossible fill is no
 * proof of a lie: it counts as full, and whoever owns the socket will judge.
 */
u32 vmc_circuit_readable_hint(const struct vmc_circuit *circuit)
{
	u32 raw, fill = circuit_rx_fill(circuit, &raw);

	return min(fill, circuit->rx_bytes);
}

/**
 * vmc_circuit_writable_hint - as vmc_circuit_readable_hint()
 * @circuit: likewise; an impossible fill counts as empty
 */
u32 vmc_circuit_writable_hint(const struct vmc_circuit *circuit)
{
	u32 raw, fill = circuit_tx_fill(circuit, &raw);

	return fill > circuit->tx_bytes ? circuit->tx_bytes :
					  circuit->tx_bytes - fill;
}

/**
 * vmc_circuit_is_roomy_hint - whether somebody who waits to send should look
 * @circuit: as in vmc_circuit_readable_hint()
 *
 * A program that has mapped the ring has all of it.
 */
bool vmc_circuit_is_roomy_hint(const struct vmc_circuit *circuit)
{
	u32 fill = circuit->tx_bytes - vmc_circuit_writable_hint(circuit) +
		   READ_ONCE(circuit->held);
	u32 limit = READ_ONCE(circuit->is_mapped) ?
		    circuit->tx_bytes : READ_ONCE(circuit->tx_limit);

	return fill <= limit && vmc_ring_is_roomy(limit - fill, limit);
}

/**
 * vmc_circuit_hold - data was written, keep it back
 * @circuit: whose
 * @bytes: at most what vmc_circuit_room() said
 *
 * What is written next goes behind it, vmc_circuit_produce() takes it along.
 */
void vmc_circuit_hold(struct vmc_circuit *circuit, u32 bytes)
{
	WRITE_ONCE(circuit->held, circuit->held + bytes);
}

/**
 * vmc_circuit_produce - data was written, let the peer have it
 * @circuit: whose
 * @bytes: behind what is held back, which goes with them; at most what
 *	   vmc_circuit_writable() said, or vmc_circuit_room()
 */
void vmc_circuit_produce(struct vmc_circuit *circuit, u32 bytes)
{
	if (unlikely(circuit->held)) {
		bytes += circuit->held;
		WRITE_ONCE(circuit->held, 0);
	}
	WRITE_ONCE(circuit->prod, circuit->prod + bytes);
	smp_store_release(&circuit->own->prod,
			  cpu_to_le32(circuit->prod)); /* A */
	if (circuit_is_data_awaited(circuit))
		vmc_link_ring(circuit->link, circuit->slot);
}

/**
 * vmc_circuit_consume - data was read, the peer may reuse its place
 * @circuit: whose
 * @bytes: at most what vmc_circuit_readable() said
 */
void vmc_circuit_consume(struct vmc_circuit *circuit, u32 bytes)
{
	u32 raw_wait, fill;

	WRITE_ONCE(circuit->cons, circuit->cons + bytes);
	smp_store_release(&circuit->own->cons,
			  cpu_to_le32(circuit->cons)); /* C */
	smp_mb(); /* D */
	raw_wait = le32_to_cpu(READ_ONCE(circuit->peer->space_wait));
	if (raw_wait == circuit->peer_space_wait)
		return;
	fill = vmc_circuit_readable(circuit);
	if (!vmc_ring_is_roomy(circuit->rx_bytes - fill, circuit->rx_bytes))
		return;
	circuit->peer_space_wait = raw_wait;
	vmc_link_ring(circuit->link, circuit->slot);
}

/**
 * vmc_circuit_await_data - ask for a bell when data comes
 * @circuit: whose
 *
 * The caller looks at vmc_circuit_readable() again before it sleeps. Needs no
 * lock, but RCU or the lock to keep @circuit.
 */
void vmc_circuit_await_data(struct vmc_circuit *circuit)
{
	u32 count = atomic_inc_return(&circuit->data_wait);

	WRITE_ONCE(circuit->own->data_wait, cpu_to_le32(count));
	smp_mb(); /* B' */
}

/**
 * vmc_circuit_await_space - ask for a bell when there is room
 * @circuit: whose
 *
 * As vmc_circuit_await_data(), for vmc_circuit_writable().
 */
void vmc_circuit_await_space(struct vmc_circuit *circuit)
{
	u32 count = atomic_inc_return(&circuit->space_wait);

	WRITE_ONCE(circuit->own->space_wait, cpu_to_le32(count));
	smp_mb(); /* D' */
}

/**
 * vmc_circuit_adopt - the program moves the indexes no more
 * @circuit: was mapped
 *
 * Its last indexes are the truth now; if they are impossible, whoever of the
 * two lied, is_lying says so.
 */
void vmc_circuit_adopt(struct vmc_circuit *circuit)
{
	u32 raw;

	WRITE_ONCE(circuit->prod, le32_to_cpu(READ_ONCE(circuit->own->prod)));
	WRITE_ONCE(circuit->cons, le32_to_cpu(READ_ONCE(circuit->own->cons)));
	WRITE_ONCE(circuit->is_mapped, false);
	if (circuit_rx_fill(circuit, &raw) > circuit->rx_bytes ||
	    circuit_tx_fill(circuit, &raw) > circuit->tx_bytes) {
		circuit->is_lying = true;
		pr_warn_ratelimited("a program left impossible indexes, peer %s, slot %u, circuit reset\n",
				    circuit->link->peer, circuit->slot);
		return;
	}
	/* It may have ended between an index and its bell. */
	vmc_circuit_produce(circuit, 0);
	vmc_circuit_consume(circuit, 0);
	/* It could write what is ours, too. */
	smp_store_release(&circuit->own->flags, cpu_to_le32(circuit->flags));
}

/**
 * vmc_circuit_set_flags - say FIN, RST or GONE, and ring
 * @circuit: whose
 * @flags: VMC_CTL_, added to those said before
 *
 * FIN alone rings who has asked for data; who has not will look.
 */
void vmc_circuit_set_flags(struct vmc_circuit *circuit, u32 flags)
{
	if (circuit_say_flags(circuit, flags) &&
	    (flags != VMC_CTL_FIN || circuit_is_data_awaited(circuit)))
		vmc_link_ring(circuit->link, circuit->slot);
}

/**
 * vmc_circuit_peer_flags - what the peer said of itself
 * @circuit: whose
 *
 * Who sees FIN sees the final producer index afterwards.
 *
 * Return: VMC_CTL_ flags; unknown bits may be set.
 */
u32 vmc_circuit_peer_flags(const struct vmc_circuit *circuit)
{
	return le32_to_cpu(smp_load_acquire(&circuit->peer->flags));
}
