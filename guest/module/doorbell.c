// SPDX-License-Identifier: GPL-2.0-only
/*
 * The doorbell queue: "KICK the peer of that link". Owns its buffers; a doorbell
 * for which there is none is sent later. Called by link.c and device.c.
 */
#include <linux/slab.h>
#include <linux/virtio.h>
#include "../../proto/wire.h"
#include "doorbell.h"
#include "stats.h"

static struct {
	spinlock_t lock;		/* a leaf; bottom halves off */
	struct virtqueue *vq;		/* NULL: no device */
	struct vmc_doorbell *bells;
	struct vmc_doorbell **free;
	unsigned int nr_free;
	unsigned long later[BITS_TO_LONGS(VMC_MAX_LINKS)];
} doorbell_queue = {
	.lock = __SPIN_LOCK_UNLOCKED(doorbell_queue.lock),
};

/* Caller holds the lock. False: no room, the caller shall try later. */
static bool doorbell_add(u32 link)
{
	struct vmc_doorbell *bell;
	struct scatterlist sg;
	unsigned int bytes;

	while ((bell = virtqueue_get_buf(doorbell_queue.vq, &bytes)))
		doorbell_queue.free[doorbell_queue.nr_free++] = bell;
	if (!doorbell_queue.nr_free)
		return false;
	bell = doorbell_queue.free[--doorbell_queue.nr_free];
	bell->link = cpu_to_le32(link);
	sg_init_one(&sg, bell, sizeof(*bell));
	if (virtqueue_add_outbuf(doorbell_queue.vq, &sg, 1, bell, GFP_ATOMIC)) {
		doorbell_queue.free[doorbell_queue.nr_free++] = bell;
		return false;
	}
	return true;
}

/* Caller holds the lock. True: the switch must be notified. */
static bool doorbell_flush(void)
{
	unsigned int link;

	do {
		for_each_set_bit(link, doorbell_queue.later, VMC_MAX_LINKS) {
			if (!doorbell_add(link))
				break;
			__clear_bit(link, doorbell_queue.later);
		}
		if (bitmap_empty(doorbell_queue.later, VMC_MAX_LINKS)) {
			virtqueue_disable_cb(doorbell_queue.vq);
			break;
		}
	} while (!virtqueue_enable_cb(doorbell_queue.vq));
	return virtqueue_kick_prepare(doorbell_queue.vq);
}

/**
 * vmc_doorbell_send - ask the switch to KICK the peer of a link
 * @link: below VMC_MAX_LINKS
 *
 * Never fails: when the queue is full the kick is sent as soon as there is
 * room. Any context but hard interrupt.
 */
void vmc_doorbell_send(u32 link)
{
	bool notify = false;

	spin_lock_bh(&doorbell_queue.lock);
	if (doorbell_queue.vq) {
		__set_bit(link, doorbell_queue.later);
		notify = doorbell_flush();
		if (notify)
			virtqueue_notify(doorbell_queue.vq);
	}
	spin_unlock_bh(&doorbell_queue.lock);
	vmc_stat_inc(kicks_sent);
}

/**
 * vmc_doorbell_look - the switch took doorbells: send those that wait
 *
 * Tasklet.
 */
void vmc_doorbell_look(void)
{
	spin_lock(&doorbell_queue.lock);
	if (doorbell_queue.vq &&
	    !bitmap_empty(doorbell_queue.later, VMC_MAX_LINKS) &&
	    doorbell_flush())
		virtqueue_notify(doorbell_queue.vq);
	spin_unlock(&doorbell_queue.lock);
}

/**
 * vmc_doorbell_open - make the buffers for a queue
 * @vq: used until vmc_doorbell_shut(); its device is not ready yet
 *
 * Return: 0 or -ENOMEM; vmc_doorbell_free() follows either way.
 */
int vmc_doorbell_open(struct virtqueue *vq)
{
	unsigned int nr_bells = virtqueue_get_vring_size(vq), i;

	doorbell_queue.bells = kcalloc(nr_bells, sizeof(struct vmc_doorbell),
				       GFP_KERNEL);
	doorbell_queue.free = kcalloc(nr_bells, sizeof(struct vmc_doorbell *),
				      GFP_KERNEL);
	if (!doorbell_queue.bells || !doorbell_queue.free)
		return -ENOMEM;
	for (i = 0; i < nr_bells; i++)
		doorbell_queue.free[i] = &doorbell_queue.bells[i];
	virtqueue_disable_cb(vq);
	spin_lock_bh(&doorbell_queue.lock);
	doorbell_queue.nr_free = nr_bells;
	bitmap_zero(doorbell_queue.later, VMC_MAX_LINKS);
	doorbell_queue.vq = vq;
	spin_unlock_bh(&doorbell_queue.lock);
	return 0;
}

/**
 * vmc_doorbell_shut - nobody touches the queue any more
 */
void vmc_doorbell_shut(void)
{
	spin_lock_bh(&doorbell_queue.lock);
	doorbell_queue.vq = NULL;
	spin_unlock_bh(&doorbell_queue.lock);
}

/**
 * vmc_doorbell_free - free the buffers
 *
 * The queue is shut, and gone.
 */
void vmc_doorbell_free(void)
{
	kfree(doorbell_queue.bells);
	kfree(doorbell_queue.free);
	doorbell_queue.bells = NULL;
	doorbell_queue.free = NULL;
}
