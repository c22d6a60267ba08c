// SPDX-License-Identifier: GPL-2.0-only
/*
 * The event queue: messages from the switch. Owns their buffers. Knows no
 * message but KICK, which it hands over at once from bottom halves; all others
 * go through the device's worker, unless the user handles them early. Called
 * by device.c.
 */
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/workqueue.h>
#include "device.h"
#include "event.h"
#include "stats.h"

/* Rounds of the queue before others get the processor. */
#define EVENT_ROUNDS 8

struct event {
	struct list_head node;
	unsigned int bytes;
	struct vmc_msg msg;
};

static struct {
	const struct vmc_device_user *user;	/* fixed after registration */
	struct work_struct work;
	spinlock_t lock;		/* a leaf; bottom halves off */
	struct virtqueue *vq;		/* NULL: no device */
	struct event **events;
	unsigned int nr_events;
	struct list_head todo;		/* for the worker, in order */
	unsigned int nr_unhandled;	/* of these, and in its hands */
	unsigned int seen;		/* how far the queue was looked at */
} event_queue;

/* Caller holds the lock. */
static void event_post(struct event *event)
{
	struct scatterlist sg;

	sg_init_one(&sg, &event->msg, sizeof(event->msg));
	/* Every event has its place in the queue, so this cannot fail. */
	WARN_ON_ONCE(virtqueue_add_inbuf(event_queue.vq, &sg, 1, event,
					 GFP_ATOMIC));
}

static void event_work(struct work_struct *work)
{
	struct event *event;

	for (;;) {
		spin_lock_bh(&event_queue.lock);
		event = list_first_entry_or_null(&event_queue.todo,
						 struct event, node);
		if (event)
			list_del(&event->node);
		spin_unlock_bh(&event_queue.lock);
		if (!event)
			return;
		vmc_stat_inc(messages_received);
		event_queue.user->message(&event->msg, event->bytes);
		spin_lock_bh(&event_queue.lock);
		event_queue.nr_unhandled--;
		if (event_queue.vq) {
			event_post(event);
			virtqueue_kick(event_queue.vq);
		}
		spin_unlock_bh(&event_queue.lock);
	}
}

/*
 * Hear a KICK at once, handle early what can be, leave the rest to the worker.
 * With the lock, which is given up meanwhile: no other event comes in
 * between, for only the tasklet takes them.
 */
static void event_take(struct event *event, unsigned long *kicked)
{
	bool is_done;

	if (event->bytes >= sizeof(struct vmc_kick) + 8 &&
	    event->msg.type == cpu_to_le16(VMC_MSG_KICK)) {
		u32 raw_link = le32_to_cpu(event->msg.kick.link);

		if (raw_link < VMC_MAX_LINKS)
			__set_bit(raw_link, kicked);
		event_post(event);
		return;
	}
	if (!event_queue.nr_unhandled) {
		spin_unlock(&event_queue.lock);
		is_done = event_queue.user->message_early(&event->msg,
						     event->bytes);
		spin_lock(&event_queue.lock);
		if (is_done) {
			vmc_stat_inc(messages_received);
			if (event_queue.vq)
				event_post(event);
			return;
		}
	}
	event_queue.nr_unhandled++;
	list_add_tail(&event->node, &event_queue.todo);
}

/* Caller holds the lock. Lets interrupts come; true: look once more. */
static bool event_enable(void)
{
	event_queue.seen = virtqueue_enable_cb_prepare(event_queue.vq);
	return virtqueue_poll(event_queue.vq, event_queue.seen);
}

/**
 * vmc_event_look - take all used events
 *
 * Tasklet.
 */
void vmc_event_look(void)
{
	DECLARE_BITMAP(kicked, VMC_MAX_LINKS);
	struct event *event;
	unsigned int bytes, link, rounds = EVENT_ROUNDS;
	bool more;

	do {
		if (!rounds--) {
			vmc_device_look();
			return;
		}
		more = false;
		bitmap_zero(kicked, VMC_MAX_LINKS);
		spin_lock(&event_queue.lock);
		if (event_queue.vq)
			virtqueue_disable_cb(event_queue.vq);
		while (event_queue.vq &&
		       (event = virtqueue_get_buf(event_queue.vq, &bytes))) {
			more = true;
			event->bytes = bytes;
			event_take(event, kicked);
		}
		if (!event_queue.vq) {
			spin_unlock(&event_queue.lock);
			return;
		}
		if (more)
			virtqueue_kick(event_queue.vq);
		if (!list_empty(&event_queue.todo))
			queue_work(vmc_device_worker(), &event_queue.work);
		if (event_enable())
			more = true;
		spin_unlock(&event_queue.lock);
		for_each_set_bit(link, kicked, VMC_MAX_LINKS) {
			vmc_stat_inc(kicks_received);
			event_queue.user->kick(link);
		}
	} while (more);
}

/**
 * vmc_event_mute - somebody looks at the queue: no interrupts are needed
 *
 * Preemption off until vmc_event_unmute(). Others may let interrupts come
 * meanwhile; they do no harm.
 */
void vmc_event_mute(void)
{
	spin_lock_bh(&event_queue.lock);
	if (event_queue.vq)
		virtqueue_disable_cb(event_queue.vq);
	spin_unlock_bh(&event_queue.lock);
}

/**
 * vmc_event_unmute - nobody looks any more
 */
void vmc_event_unmute(void)
{
	bool is_any;

	spin_lock_bh(&event_queue.lock);
	is_any = event_queue.vq && event_enable();
	spin_unlock_bh(&event_queue.lock);
	if (is_any)
		vmc_device_look();
}

/**
 * vmc_event_take_now - if there are events, handle them here
 *
 * Between vmc_event_mute() and vmc_event_unmute().
 */
void vmc_event_take_now(void)
{
	bool is_any;

	spin_lock_bh(&event_queue.lock);
	is_any = event_queue.vq &&
		 virtqueue_poll(event_queue.vq, event_queue.seen);
	spin_unlock_bh(&event_queue.lock);
	if (!is_any)
		return;
	/* The tasklet runs as bottom halves are let in. */
	local_bh_disable();
	vmc_device_look();
	local_bh_enable();
	vmc_event_mute();
}

/**
 * vmc_event_open - make the buffers for a queue
 * @vq: its device is not ready yet
 *
 * Return: 0 or -ENOMEM; vmc_event_free() follows either way.
 */
int vmc_event_open(struct virtqueue *vq)
{
	unsigned int nr_events = virtqueue_get_vring_size(vq);

	event_queue.nr_events = 0;
	event_queue.events = kcalloc(nr_events, sizeof(struct event *),
				     GFP_KERNEL);
	if (!event_queue.events)
		return -ENOMEM;
	/* One by one: the device needs them contiguous in memory. */
	for (; event_queue.nr_events < nr_events; event_queue.nr_events++) {
		struct event *event = kzalloc(sizeof(*event), GFP_KERNEL);

		if (!event)
			return -ENOMEM;
		event_queue.events[event_queue.nr_events] = event;
	}
	return 0;
}

/**
 * vmc_event_post_all - let the switch fill the buffers
 * @vq: as in vmc_event_open(), ready; used until vmc_event_shut()
 */
void vmc_event_post_all(struct virtqueue *vq)
{
	unsigned int i;

	spin_lock_bh(&event_queue.lock);
	event_queue.vq = vq;
	for (i = 0; i < event_queue.nr_events; i++)
		event_post(event_queue.events[i]);
	virtqueue_kick(vq);
	spin_unlock_bh(&event_queue.lock);
}

/**
 * vmc_event_shut - nobody touches the queue any more
 */
void vmc_event_shut(void)
{
	spin_lock_bh(&event_queue.lock);
	event_queue.vq = NULL;
	spin_unlock_bh(&event_queue.lock);
}

/**
 * vmc_event_free - free the buffers
 *
 * The queue is shut, and the worker has come to its end.
 */
void vmc_event_free(void)
{
	while (event_queue.events && event_queue.nr_events)
		kfree(event_queue.events[--event_queue.nr_events]);
	kfree(event_queue.events);
	event_queue.events = NULL;
	INIT_LIST_HEAD(&event_queue.todo);
	event_queue.nr_unhandled = 0;
}

/**
 * vmc_event_init - before the first device
 * @user: whom to tell
 */
void vmc_event_init(const struct vmc_device_user *user)
{
	event_queue.user = user;
	spin_lock_init(&event_queue.lock);
	INIT_LIST_HEAD(&event_queue.todo);
	INIT_WORK(&event_queue.work, event_work);
}
