// SPDX-License-Identifier: GPL-2.0-only
/*
 * Links: the table of peers, their mapped segments, and the doorbells in them.
 * A link dies when the switch says so or is gone; its segments stay mapped until
 * the last circuit has let go. Only then the switch hears LINK_RELEASED, or the
 * next HELLO, and may put other memory there.
 *
 * Barriers are lettered as in proto/ring.h.
 */
#define pr_fmt(fmt) "vmcircuit: " fmt
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include "circuit.h"
#include "compat.h"
#include "device.h"
#include "doorbell.h"
#include "link.h"
#include "request.h"
#include "stats.h"

/* Written by the device's worker only. */
static struct vmc_link __rcu *links[VMC_MAX_LINKS];
static void (*link_all_released)(void);
static unsigned int nr_links;		/* dead ones that are mapped, too */

/*
 * A VM's circuits to itself have two links, each other's twins. Who rings at
 * one is heard at the other without the switch: as soon as no lock is held and
 * bottom halves run, which is before most system calls return.
 */
static DECLARE_BITMAP(rung_here, VMC_MAX_LINKS);
/* Outside all others, while bells are heard. Bottom halves off. */
static DEFINE_SPINLOCK(hear_lock);

static void hear_tasklet(struct tasklet_struct *tasklet)
{
	vmc_link_hear_own();
}

static DECLARE_TASKLET(hearer, hear_tasklet);

/**
 * vmc_link_init - say who is told
 * @all_released: when no segment is mapped any more; device's worker
 */
void vmc_link_init(void (*all_released)(void))
{
	link_all_released = all_released;
}

/**
 * vmc_link_exit - no link is left
 */
void vmc_link_exit(void)
{
	tasklet_kill(&hearer);
}

/**
 * vmc_link_is_any - whether any segment is mapped
 *
 * Device's worker.
 */
bool vmc_link_is_any(void)
{
	return nr_links;
}

static void link_unmap(struct vmc_link *link)
{
	if (link->tx)
		memunmap(link->tx);
	if (link->rx)
		memunmap((void *)link->rx);
}

static void link_free(struct vmc_link *link)
{
	kvfree(link->slots);
	kvfree(link);
}

/*
 * After a grace period: nobody looks at the segments any more. Runs in the
 * device's worker.
 */
static void link_release_work(struct work_struct *work)
{
	struct vmc_link *link = container_of(to_rcu_work(work),
					     struct vmc_link, release_work);
	struct vmc_link_released released = {
		.link = cpu_to_le32(link->id),
		.generation = cpu_to_le32(link->generation),
	};

	link_unmap(link);
	if (link->is_answer_due)
		vmc_request_send(link->attachment, VMC_MSG_LINK_RELEASED,
				&released, GFP_KERNEL);
	link_free(link);
	if (!--nr_links)
		link_all_released();
}

static void link_last_put(struct kref *ref)
{
	struct vmc_link *link = container_of(ref, struct vmc_link, ref);

	INIT_RCU_WORK(&link->release_work, link_release_work);
	queue_rcu_work(vmc_device_worker(), &link->release_work);
}

/**
 * vmc_link_get - a reference to a living link
 * @id: unchecked
 *
 * Return: the link, or NULL. The caller ends with vmc_link_put().
 */
struct vmc_link *vmc_link_get(u32 id)
{
	struct vmc_link *link = NULL;

	if (id >= VMC_MAX_LINKS)
		return NULL;
	rcu_read_lock();
	link = rcu_dereference(links[id]);
	if (link && !kref_get_unless_zero(&link->ref))
		link = NULL;
	rcu_read_unlock();
	return link;
}

/**
 * vmc_link_hold - one more reference
 * @link: a reference is held
 *
 * Return: @link.
 */
struct vmc_link *vmc_link_hold(struct vmc_link *link)
{
	kref_get(&link->ref);
	return link;
}

/**
 * vmc_link_put - give a reference back
 * @link: not used by the caller afterwards
 *
 * Any context but hard interrupt.
 */
void vmc_link_put(struct vmc_link *link)
{
	kref_put(&link->ref, link_last_put);
}

/**
 * vmc_link_seat - give a slot to a circuit
 * @link: the circuit holds a reference to it
 * @slot: below VMC_SLOTS_PER_LINK
 * @circuit: gets doorbells from now on; looks at its ring once itself
 *
 * Return: 0, -EBUSY if the slot is taken, -ENOLINK if the link is dead.
 */
int vmc_link_seat(struct vmc_link *link, u32 slot, struct vmc_circuit *circuit)
{
	unsigned int word = slot / 64;
	u64 bit = BIT_ULL(slot % 64), raw;
	int err = 0;

	spin_lock_bh(&link->lock);
	if (link->is_dead) {
		err = -ENOLINK;
	} else if (rcu_access_pointer(link->slots[slot])) {
		err = -EBUSY;
	} else {
		rcu_assign_pointer(link->slots[slot], circuit);
		link->nr_words = max(link->nr_words, word + 1);
		/*
		 * A bell that rang while nobody sat here counts as heard, or
		 * the peer would wait for that and ring no more.
		 */
		raw = le64_to_cpu(READ_ONCE(link->rx->pending[word]));
		if ((raw ^ link->ack[word]) & bit) {
			link->ack[word] ^= bit;
			WRITE_ONCE(link->tx->ack[word],
				   cpu_to_le64(link->ack[word]));
		}
	}
	spin_unlock_bh(&link->lock);
	smp_mb(); /* E' */
	return err;
}

/**
 * vmc_link_unseat - take the slot back
 * @link: its link
 * @slot: where a circuit sits
 * @circuit: which; another one that got the slot meanwhile stays
 */
void vmc_link_unseat(struct vmc_link *link, u32 slot,
		     struct vmc_circuit *circuit)
{
	spin_lock_bh(&link->lock);
	if (rcu_access_pointer(link->slots[slot]) == circuit)
		RCU_INIT_POINTER(link->slots[slot], NULL);
	spin_unlock_bh(&link->lock);
}

/**
 * vmc_link_circuit - who sits in a slot
 * @link: its link
 * @slot: below VMC_SLOTS_PER_LINK
 *
 * Under RCU.
 */
struct vmc_circuit *vmc_link_circuit(struct vmc_link *link, u32 slot)
{
	return rcu_dereference(link->slots[slot]);
}

/**
 * vmc_link_ring - tell the peer to look at a circuit
 * @link: a reference is held
 * @slot: the circuit's
 *
 * What the bell tells of has been stored before. Any context but hard
 * interrupt.
 */
void vmc_link_ring(struct vmc_link *link, u32 slot)
{
	unsigned int word = slot / 64;
	u64 bit = BIT_ULL(slot % 64), raw_ack;
	bool kick = false;
	u32 raw_wanted, twin;

	smp_mb(); /* E */
	spin_lock_bh(&link->lock);
	if (link->is_dead)
		goto unlock;
	raw_ack = le64_to_cpu(READ_ONCE(link->rx->ack[word]));
	if ((link->pending[word] ^ raw_ack) & bit) {
		vmc_stat_inc(doorbells_pending);
		goto unlock;
	}
	link->pending[word] ^= bit;
	WRITE_ONCE(link->tx->pending[word], cpu_to_le64(link->pending[word]));
	vmc_stat_inc(doorbells_sent);
	smp_mb(); /* F */
	raw_wanted = le32_to_cpu(READ_ONCE(link->rx->kick_wanted));
	if (raw_wanted != link->kick_seen) {
		link->kick_seen = raw_wanted;
		kick = true;
	}
unlock:
	spin_unlock_bh(&link->lock);
	if (!kick)
		return;
	twin = READ_ONCE(link->twin);
	if (twin == VMC_NO_LINK) {
		vmc_doorbell_send(link->id);
		return;
	}
	set_bit(twin, rung_here);
	tasklet_schedule(&hearer);
}

/* One pass over the bitmaps. Bottom halves off, under RCU. */
static void link_scan(struct vmc_link *link)
{
	unsigned int word, nr_words = READ_ONCE(link->nr_words);
	struct vmc_circuit *circuit;
	u64 raw, rung;

	for (word = 0; word < nr_words; word++) {
		raw = le64_to_cpu(READ_ONCE(link->rx->pending[word]));
		if (raw == READ_ONCE(link->ack[word]))
			continue;
		spin_lock(&link->lock);
		/* vmc_link_seat() may have acknowledged a newer one. */
		raw = le64_to_cpu(READ_ONCE(link->rx->pending[word]));
		rung = raw ^ link->ack[word];
		link->ack[word] = raw;
		WRITE_ONCE(link->tx->ack[word], cpu_to_le64(raw));
		spin_unlock(&link->lock);
		smp_mb(); /* E' */
		while (rung) {
			unsigned int bit = __ffs64(rung);

			rung &= rung - 1;
			vmc_stat_inc(doorbells_heard);
			circuit = rcu_dereference(link->slots[word * 64 + bit]);
			if (circuit)
				circuit->user->signal(circuit);
		}
	}
}

/* Bottom halves off, under RCU. */
static void link_hear(struct vmc_link *link)
{
	if (READ_ONCE(link->is_dead))
		return;
	link_scan(link);
	spin_lock(&link->lock);
	WRITE_ONCE(link->tx->kick_wanted, cpu_to_le32(++link->kick_wanted));
	spin_unlock(&link->lock);
	smp_mb(); /* F' */
	link_scan(link);
}

/**
 * vmc_link_hear - a KICK came for a link
 * @raw_id: what the switch said, unchecked
 *
 * Bottom halves.
 */
void vmc_link_hear(u32 raw_id)
{
	struct vmc_link *link;

	if (raw_id >= VMC_MAX_LINKS)
		return;
	rcu_read_lock();
	link = rcu_dereference(links[raw_id]);
	if (link)
		link_hear(link);
	rcu_read_unlock();
}

/**
 * vmc_link_hear_own - what rang in this VM for itself has been heard
 *
 * Also what somebody else is hearing now. No lock is held, but a socket may be
 * owned; any context but hard interrupt.
 */
void vmc_link_hear_own(void)
{
	unsigned int id;

	spin_lock_bh(&hear_lock);
	for_each_set_bit(id, rung_here, VMC_MAX_LINKS) {
		clear_bit(id, rung_here);
		smp_mb__after_atomic();
		vmc_link_hear(id);
	}
	spin_unlock_bh(&hear_lock);
}

/* Whether this is one of two, which have each other's segments. */
static void link_find_twin(struct vmc_link *link)
{
	struct vmc_link *other;
	unsigned int id;

	for (id = 0; id < VMC_MAX_LINKS; id++) {
		other = rcu_dereference_protected(links[id], 1);
		if (!other || other->tx_address != link->rx_address ||
		    other->rx_address != link->tx_address)
			continue;
		WRITE_ONCE(link->twin, other->id);
		WRITE_ONCE(other->twin, link->id);
		return;
	}
}

/**
 * vmc_link_up - LINK_UP came
 * @up: unchecked
 * @attachment: now
 *
 * Device's worker.
 *
 * Return: 0, -EINVAL for nonsense, -EEXIST if the link is up, -ENOMEM.
 */
int vmc_link_up(const struct vmc_link_up *up, u32 attachment)
{
	u64 bytes = le64_to_cpu(up->segment_bytes);
	u32 id = le32_to_cpu(up->link);
	struct vmc_link *link;
	int err;

	if (id >= VMC_MAX_LINKS || bytes < VMC_RINGS_OFFSET ||
	    !PAGE_ALIGNED(bytes) || !up->generation)
		return -EINVAL;
	if (rcu_access_pointer(links[id]))
		return -EEXIST;
	link = kvzalloc(sizeof(*link), GFP_KERNEL);
	if (!link)
		return -ENOMEM;
	link->slots = kvcalloc(VMC_SLOTS_PER_LINK, sizeof(*link->slots),
			       GFP_KERNEL);
	link->tx = vmc_device_map(le64_to_cpu(up->tx_window), bytes);
	link->rx = vmc_device_map(le64_to_cpu(up->rx_window), bytes);
	link->tx_address = vmc_device_address(le64_to_cpu(up->tx_window));
	link->rx_address = vmc_device_address(le64_to_cpu(up->rx_window));
	err = -ENOMEM;
	if (!link->slots || !link->tx || !link->rx)
		goto unmap_link;
	err = -EINVAL;
	if (READ_ONCE(link->tx->magic) != cpu_to_le64(VMC_SEGMENT_MAGIC) ||
	    READ_ONCE(link->rx->magic) != cpu_to_le64(VMC_SEGMENT_MAGIC))
		goto unmap_link;
	link->id = id;
	link->twin = VMC_NO_LINK;
	link->generation = le32_to_cpu(up->generation);
	link->attachment = attachment;
	link->segment_bytes = bytes;
	link->is_uplink = up->flags & cpu_to_le32(VMC_LINK_UPLINK);
	strscpy(link->peer, up->peer, sizeof(link->peer));
	spin_lock_init(&link->lock);
	kref_init(&link->ref);
	nr_links++;
	rcu_assign_pointer(links[id], link);
	link_find_twin(link);

	local_bh_disable();
	rcu_read_lock();
	link_hear(link);
	rcu_read_unlock();
	local_bh_enable();
	return 0;

unmap_link:
	link_unmap(link);
	link_free(link);
	return err;
}

static void link_kill(struct vmc_link *link)
{
	struct vmc_circuit *circuit;
	unsigned int slot, nr_slots;

	RCU_INIT_POINTER(links[link->id], NULL);
	spin_lock_bh(&link->lock);
	link->is_dead = true;
	nr_slots = link->nr_words * 64;
	spin_unlock_bh(&link->lock);
	for (slot = 0; slot < nr_slots; slot++) {
		rcu_read_lock();
		circuit = rcu_dereference(link->slots[slot]);
		if (circuit)
			circuit->user->link_down(circuit);
		rcu_read_unlock();
		cond_resched();
	}
	vmc_link_put(link);
}

/**
 * vmc_link_down - LINK_DOWN came
 * @down: unchecked
 * @attachment: now
 *
 * Device's worker. A link that could not be mapped is released at once.
 */
void vmc_link_down(const struct vmc_link_down *down, u32 attachment)
{
	struct vmc_link_released released = {
		.link = down->link,
		.generation = down->generation,
	};
	u32 id = le32_to_cpu(down->link);
	struct vmc_link *link;

	if (id >= VMC_MAX_LINKS)
		return;
	link = rcu_dereference_protected(links[id], 1);
	if (link && link->generation == le32_to_cpu(down->generation)) {
		link->is_answer_due = true;
		link_kill(link);
	} else {
		vmc_request_send(attachment, VMC_MSG_LINK_RELEASED, &released,
				GFP_KERNEL);
	}
}

/**
 * vmc_link_down_all - the switch is gone, or another one came
 *
 * Device's worker, or after it has ended.
 */
void vmc_link_down_all(void)
{
	struct vmc_link *link;
	unsigned int id;

	for (id = 0; id < VMC_MAX_LINKS; id++) {
		link = rcu_dereference_protected(links[id], 1);
		if (link)
			link_kill(link);
	}
}
