// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A split virtqueue, the device's side. Owns the switch's counters of a queue
 * and the rules for reading what a guest wrote there: each field once, then
 * checked. Does not own the memory nor the descriptors. Called by vhost_user.c
 * (set-up) and vm.c (traffic).
 *
 * Barriers, with the driver's twins in the guest's virtio_ring.c:
 *   avail->idx is loaded with acquire before the entries it tells of;
 *   used->idx is stored with release after the entries it tells of;
 *   used->flags stored, full barrier, avail->idx looked at again: the driver
 *   stores avail->idx, full barrier, loads used->flags;
 *   used->idx stored, full barrier, avail->flags loaded: the driver stores
 *   avail->flags, full barrier, looks at used->idx again.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "switch/virtqueue.h"

/**
 * vmc_virtqueue_map - find the queue's parts in the guest's memory
 * @queue: nr_entries and place are set
 * @memory: the guest's RAM
 *
 * Done again whenever the memory changes. The switch's counters stay.
 *
 * Return: 0, or -EFAULT when a part lies outside the memory or is not aligned;
 * the queue is unmapped then.
 */
int vmc_virtqueue_map(struct vmc_virtqueue *queue,
		      const struct vmc_guest_memory *memory)
{
	const struct vmc_virtqueue_place *place = &queue->place;
	size_t nr = queue->nr_entries;
	void *desc, *avail, *used;

	desc = vmc_guest_memory_at_user(memory, place->desc,
					nr * sizeof(struct vring_desc));
	avail = vmc_guest_memory_at_user(memory, place->avail,
					 sizeof(struct vring_avail) +
					 nr * sizeof(uint16_t));
	used = vmc_guest_memory_at_user(memory, place->used,
					sizeof(struct vring_used) +
					nr * sizeof(struct vring_used_elem));
	if (!nr || !desc || !avail || !used ||
	    (uintptr_t)desc % VRING_DESC_ALIGN_SIZE ||
	    (uintptr_t)avail % VRING_AVAIL_ALIGN_SIZE ||
	    (uintptr_t)used % VRING_USED_ALIGN_SIZE) {
		vmc_virtqueue_unmap(queue);
		return -EFAULT;
	}
	queue->desc = desc;
	queue->avail = avail;
	queue->used = used;
	return 0;
}

/**
 * vmc_virtqueue_unmap - touch the guest's memory no more
 * @queue: mapped or not
 */
void vmc_virtqueue_unmap(struct vmc_virtqueue *queue)
{
	queue->desc = NULL;
	queue->avail = NULL;
	queue->used = NULL;
	queue->must_signal = false;
}

/* Follow the chain that begins at @raw_idx. */
static int read_chain(struct vmc_virtqueue *queue,
		      const struct vmc_guest_memory *memory, uint16_t raw_idx,
		      struct vmc_chain *chain)
{
	struct vring_desc desc;
	uint16_t flags;
	uint32_t bytes;
	uint8_t *at;

	chain->nr_parts = 0;
	chain->bytes = 0;
	for (;;) {
		if (raw_idx >= queue->nr_entries)
			return -ERANGE;
		if (chain->nr_parts == VMC_VIRTQUEUE_MAX_PARTS)
			return -ELOOP;
		memcpy(&desc, &queue->desc[raw_idx], sizeof(desc));
		/* The copy is what counts, whatever the guest does now. */
		__asm__ __volatile__("" : "+m"(desc));
		flags = le16toh(desc.flags);
		bytes = le32toh(desc.len);
		if (flags & ~(VRING_DESC_F_NEXT | VRING_DESC_F_WRITE))
			return -EPROTO;
		if (!bytes)
			return -ENODATA;
		at = vmc_guest_memory_at(memory, le64toh(desc.addr), bytes);
		if (!at)
			return -EFAULT;
		if (!chain->nr_parts)
			chain->is_writable = flags & VRING_DESC_F_WRITE;
		else if (chain->is_writable != !!(flags & VRING_DESC_F_WRITE))
			return -EPROTO;
		chain->parts[chain->nr_parts].at = at;
		chain->parts[chain->nr_parts].bytes = bytes;
		chain->nr_parts++;
		chain->bytes += bytes;
		if (!(flags & VRING_DESC_F_NEXT))
			return 0;
		raw_idx = le16toh(desc.next);
	}
}

/**
 * vmc_virtqueue_pop - take the next descriptor chain
 * @queue: mapped
 * @memory: the guest's RAM
 * @ret_chain: the chain; give it back with vmc_virtqueue_push()
 *
 * Return: 0; -EAGAIN when there is none; otherwise the guest lied:
 * -EOVERFLOW (more available than the queue is long), -ERANGE (index beyond
 * the queue), -EFAULT (address outside the memory), -ELOOP (more than
 * VMC_VIRTQUEUE_MAX_PARTS descriptors), -ENODATA (descriptor of no length),
 * -EPROTO (unknown flags, or readable and writable parts in one chain).
 */
int vmc_virtqueue_pop(struct vmc_virtqueue *queue,
		      const struct vmc_guest_memory *memory,
		      struct vmc_chain *ret_chain)
{
	struct vmc_chain chain;
	uint16_t avail, slot;
	int error;

	avail = le16toh(__atomic_load_n(&queue->avail->idx, __ATOMIC_ACQUIRE));
	if (avail == queue->avail_cons)
		return -EAGAIN;
	if ((uint16_t)(avail - queue->avail_cons) > queue->nr_entries)
		return -EOVERFLOW;
	slot = queue->avail_cons & (queue->nr_entries - 1);
	chain.head = le16toh(__atomic_load_n(&queue->avail->ring[slot],
					     __ATOMIC_RELAXED));
	error = read_chain(queue, memory, chain.head, &chain);
	if (error)
		return error;
	queue->avail_cons++;
	*ret_chain = chain;
	return 0;
}

/**
 * vmc_chain_read - copy a readable chain's bytes
 * @chain: a chain
 * @to: where to
 * @bytes: room there
 *
 * Return: bytes copied; the chain may be longer or shorter.
 */
size_t vmc_chain_read(const struct vmc_chain *chain, void *to, size_t bytes)
{
	size_t done = 0, part;
	unsigned int i;

	for (i = 0; i < chain->nr_parts && done < bytes; i++) {
		part = chain->parts[i].bytes;
		if (part > bytes - done)
			part = bytes - done;
		memcpy((uint8_t *)to + done, chain->parts[i].at, part);
		done += part;
	}
	return done;
}

/**
 * vmc_chain_write - fill a writable chain
 * @chain: a chain of at least @bytes
 * @from: what
 * @bytes: how much
 */
void vmc_chain_write(const struct vmc_chain *chain, const void *from,
		     size_t bytes)
{
	size_t done = 0, part;
	unsigned int i;

	for (i = 0; i < chain->nr_parts && done < bytes; i++) {
		part = chain->parts[i].bytes;
		if (part > bytes - done)
			part = bytes - done;
		memcpy(chain->parts[i].at, (const uint8_t *)from + done, part);
		done += part;
	}
}

/**
 * vmc_virtqueue_push - give a chain back
 * @queue: mapped
 * @chain: from vmc_virtqueue_pop()
 * @bytes: written into it
 *
 * The guest is told by the next vmc_virtqueue_signal().
 */
void vmc_virtqueue_push(struct vmc_virtqueue *queue,
			const struct vmc_chain *chain, uint32_t bytes)
{
	uint16_t slot = queue->used_prod & (queue->nr_entries - 1);

	queue->used->ring[slot].id = htole32(chain->head);
	queue->used->ring[slot].len = htole32(bytes);
	queue->used_prod++;
	__atomic_store_n(&queue->used->idx, htole16(queue->used_prod),
			 __ATOMIC_RELEASE);
	queue->must_signal = true;
}

/**
 * vmc_virtqueue_set_notify - say whether the guest must tell of new entries
 * @queue: mapped
 * @is_wanted: when set, look at the queue once more after this
 */
void vmc_virtqueue_set_notify(struct vmc_virtqueue *queue, bool is_wanted)
{
	uint16_t flags = is_wanted ? 0 : VRING_USED_F_NO_NOTIFY;

	__atomic_store_n(&queue->used->flags, htole16(flags),
			 __ATOMIC_RELAXED);
	if (is_wanted)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/**
 * vmc_virtqueue_signal - tell the guest of entries given back
 * @queue: any
 *
 * Does nothing when there are none or the guest does not want to hear.
 */
void vmc_virtqueue_signal(struct vmc_virtqueue *queue)
{
	const uint64_t one = 1;
	uint16_t flags;
	ssize_t done;

	if (!queue->must_signal || !queue->used || queue->call_fd < 0)
		return;
	queue->must_signal = false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	flags = le16toh(__atomic_load_n(&queue->avail->flags,
					__ATOMIC_RELAXED));
	if (flags & VRING_AVAIL_F_NO_INTERRUPT)
		return;
	/* Fails only when the counter is full: then the guest is told. */
	done = write(queue->call_fd, &one, sizeof(one));
	(void)done;
}
