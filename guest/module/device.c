// SPDX-License-Identifier: GPL-2.0-only
/*
 * The virtio device: three queues and the window. Owns the buffers on the
 * queues. Knows no message but KICK, which it hands over at once from bottom
 * halves; all others go through one ordered worker, unless the user handles
 * them early. One switch a guest, so one device; a second one is refused.
 *
 * Locks: request.lock, event.lock and bell.lock each guard one virtqueue and
 * are leaves; they are taken with bottom halves off.
 */
#define pr_fmt(fmt) "vmcircuit: " fmt
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/mempool.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/workqueue.h>
#include "device.h"
#include "stats.h"

/* Requests that are always to be had, for those who cannot wait for memory. */
#define NR_SPARE_REQUESTS 64

/* Requests that may wait for room in the queue before connect() fails. */
#define MAX_BACKLOG 4096

/* Rounds of the event queue before others get the processor. */
#define EVENT_ROUNDS 8

struct request {
	struct list_head node;
	unsigned int bytes;
	struct vmc_msg msg;
};

struct event {
	struct list_head node;
	unsigned int bytes;
	struct vmc_msg msg;
};

static struct {
	const struct vmc_device_user *user;	/* fixed after registration */
	struct virtio_device *vdev;		/* NULL: no device */
	struct virtio_shm_region window;
	struct workqueue_struct *worker;
	struct work_struct event_work;
	struct work_struct gone_work;
	struct tasklet_struct tasklet;
	mempool_t *requests;

	struct {
		spinlock_t lock;
		struct virtqueue *vq;
		struct list_head backlog;	/* struct request, in order */
		unsigned int nr_backlog;
		u32 attachment;			/* the last HELLO's */
	} request;
	struct {
		spinlock_t lock;
		struct virtqueue *vq;
		struct event **events;
		unsigned int nr_events;
		struct list_head todo;		/* for the worker, in order */
		unsigned int nr_unhandled;	/* of these, and in its hands */
	} event;
	struct {
		spinlock_t lock;
		struct virtqueue *vq;
		struct vmc_doorbell *bells;
		struct vmc_doorbell **free;
		unsigned int nr_free;
		unsigned long later[BITS_TO_LONGS(VMC_MAX_LINKS)];
	} bell;
} device;

/* Caller holds request.lock. */
static void request_reclaim(void)
{
	struct request *request;
	unsigned int bytes;

	while ((request = virtqueue_get_buf(device.request.vq, &bytes)))
		mempool_free(request, device.requests);
}

/* Caller holds request.lock. Moves what fits from backlog to queue. */
static void request_flush(void)
{
	struct request *request, *next;
	struct scatterlist sg;
	bool added = false;

	request_reclaim();
	list_for_each_entry_safe(request, next, &device.request.backlog,
				 node) {
		sg_init_one(&sg, &request->msg, request->bytes);
		if (virtqueue_add_outbuf(device.request.vq, &sg, 1, request,
					 GFP_ATOMIC))
			break;
		list_del(&request->node);
		device.request.nr_backlog--;
		added = true;
	}
	if (added)
		virtqueue_kick(device.request.vq);
	/* A used buffer wakes us only while something waits for room. */
	if (list_empty(&device.request.backlog))
		virtqueue_disable_cb(device.request.vq);
	else if (!virtqueue_enable_cb(device.request.vq))
		tasklet_schedule(&device.tasklet);
}

/* Caller holds request.lock. */
static void request_purge(void)
{
	struct request *request, *next;

	list_for_each_entry_safe(request, next, &device.request.backlog, node)
		mempool_free(request, device.requests);
	INIT_LIST_HEAD(&device.request.backlog);
	device.request.nr_backlog = 0;
}

/**
 * vmc_device_send - send a request to the switch
 * @attachment: to which it belongs (vmc_attach_generation()); a HELLO begins
 *		it, and whatever belongs to an earlier one is not sent
 * @type: VMC_MSG_ below VMC_MSG_ATTACH
 * @body: the type's body
 * @gfp: GFP_KERNEL cannot fail for want of memory; GFP_ATOMIC may
 *
 * Requests go out in the order of the calls. Any context but hard interrupt.
 *
 * Return: 0, -ENODEV without a device, -ESTALE when another attachment has
 * begun, -ENOMEM; a CONNECT gets -ENOBUFS when the switch does not keep up.
 */
int vmc_device_send(u32 attachment, u16 type, const void *body, gfp_t gfp)
{
	unsigned int body_bytes = vmc_msg_body_bytes(type);
	struct request *request;
	int err = 0;

	request = mempool_alloc(device.requests, gfp);
	if (!request)
		return -ENOMEM;
	request->bytes = offsetof(struct vmc_msg, raw) + body_bytes;
	memset(&request->msg, 0, offsetof(struct vmc_msg, raw));
	request->msg.type = cpu_to_le16(type);
	request->msg.bytes = cpu_to_le16(request->bytes);
	memcpy(request->msg.raw, body, body_bytes);

	spin_lock_bh(&device.request.lock);
	if (type == VMC_MSG_HELLO) {
		request_purge();
		device.request.attachment = attachment;
	}
	if (!device.request.vq) {
		err = -ENODEV;
	} else if (attachment != device.request.attachment) {
		err = -ESTALE;
	} else if (type == VMC_MSG_CONNECT &&
		   device.request.nr_backlog >= MAX_BACKLOG) {
		err = -ENOBUFS;
	} else {
		list_add_tail(&request->node, &device.request.backlog);
		device.request.nr_backlog++;
		request_flush();
		vmc_stat_inc(messages_sent);
	}
	spin_unlock_bh(&device.request.lock);
	if (err)
		mempool_free(request, device.requests);
	return err;
}

/* Caller holds bell.lock. False: no room, the caller shall try later. */
static bool bell_add(u32 link)
{
	struct vmc_doorbell *bell;
	struct scatterlist sg;
	unsigned int bytes;

	while ((bell = virtqueue_get_buf(device.bell.vq, &bytes)))
		device.bell.free[device.bell.nr_free++] = bell;
	if (!device.bell.nr_free)
		return false;
	bell = device.bell.free[--device.bell.nr_free];
	bell->link = cpu_to_le32(link);
	sg_init_one(&sg, bell, sizeof(*bell));
	if (virtqueue_add_outbuf(device.bell.vq, &sg, 1, bell, GFP_ATOMIC)) {
		device.bell.free[device.bell.nr_free++] = bell;
		return false;
	}
	return true;
}

/* Caller holds bell.lock. True: the switch must be notified. */
static bool bell_flush(void)
{
	unsigned int link;

	do {
		for_each_set_bit(link, device.bell.later, VMC_MAX_LINKS) {
			if (!bell_add(link))
				break;
			__clear_bit(link, device.bell.later);
		}
		if (bitmap_empty(device.bell.later, VMC_MAX_LINKS)) {
			virtqueue_disable_cb(device.bell.vq);
			break;
		}
	} while (!virtqueue_enable_cb(device.bell.vq));
	return virtqueue_kick_prepare(device.bell.vq);
}

/**
 * vmc_device_kick - ask the switch to KICK the peer of a link
 * @link: below VMC_MAX_LINKS
 *
 * Never fails: when the queue is full the kick is sent as soon as there is
 * room. Any context but hard interrupt.
 */
void vmc_device_kick(u32 link)
{
	bool notify = false;

	spin_lock_bh(&device.bell.lock);
	if (device.bell.vq) {
		__set_bit(link, device.bell.later);
		notify = bell_flush();
		if (notify)
			virtqueue_notify(device.bell.vq);
	}
	spin_unlock_bh(&device.bell.lock);
	vmc_stat_inc(kicks_sent);
}

/* Caller holds event.lock. */
static void event_post(struct event *event)
{
	struct scatterlist sg;

	sg_init_one(&sg, &event->msg, sizeof(event->msg));
	/* Every event has its place in the queue, so this cannot fail. */
	WARN_ON_ONCE(virtqueue_add_inbuf(device.event.vq, &sg, 1, event,
					 GFP_ATOMIC));
}

static void event_work(struct work_struct *work)
{
	struct event *event;

	for (;;) {
		spin_lock_bh(&device.event.lock);
		event = list_first_entry_or_null(&device.event.todo,
						 struct event, node);
		if (event)
			list_del(&event->node);
		spin_unlock_bh(&device.event.lock);
		if (!event)
			return;
		vmc_stat_inc(messages_received);
		device.user->message(&event->msg, event->bytes);
		spin_lock_bh(&device.event.lock);
		device.event.nr_unhandled--;
		if (device.event.vq) {
			event_post(event);
			virtqueue_kick(device.event.vq);
		}
		spin_unlock_bh(&device.event.lock);
	}
}

static void gone_work(struct work_struct *work)
{
	device.user->gone();
}

/*
 * Hear a KICK at once, handle early what can be, leave the rest to the worker.
 * With event.lock, which is given up meanwhile: no other event comes in
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
	if (!device.event.nr_unhandled) {
		spin_unlock(&device.event.lock);
		is_done = device.user->message_early(&event->msg,
						     event->bytes);
		spin_lock(&device.event.lock);
		if (is_done) {
			vmc_stat_inc(messages_received);
			if (device.event.vq)
				event_post(event);
			return;
		}
	}
	device.event.nr_unhandled++;
	list_add_tail(&event->node, &device.event.todo);
}

/* Takes all used events. */
static void event_drain(void)
{
	DECLARE_BITMAP(kicked, VMC_MAX_LINKS);
	struct event *event;
	unsigned int bytes, link, rounds = EVENT_ROUNDS;
	bool more;

	do {
		if (!rounds--) {
			tasklet_schedule(&device.tasklet);
			return;
		}
		more = false;
		bitmap_zero(kicked, VMC_MAX_LINKS);
		spin_lock(&device.event.lock);
		if (device.event.vq)
			virtqueue_disable_cb(device.event.vq);
		while (device.event.vq &&
		       (event = virtqueue_get_buf(device.event.vq, &bytes))) {
			more = true;
			event->bytes = bytes;
			event_take(event, kicked);
		}
		if (!device.event.vq) {
			spin_unlock(&device.event.lock);
			return;
		}
		if (more)
			virtqueue_kick(device.event.vq);
		if (!list_empty(&device.event.todo))
			queue_work(device.worker, &device.event_work);
		if (!virtqueue_enable_cb(device.event.vq))
			more = true;
		spin_unlock(&device.event.lock);
		for_each_set_bit(link, kicked, VMC_MAX_LINKS) {
			vmc_stat_inc(kicks_received);
			device.user->kick(link);
		}
	} while (more);
}

static void device_tasklet(struct tasklet_struct *tasklet)
{
	event_drain();

	spin_lock(&device.request.lock);
	if (device.request.vq && !list_empty(&device.request.backlog))
		request_flush();
	spin_unlock(&device.request.lock);

	spin_lock(&device.bell.lock);
	if (device.bell.vq &&
	    !bitmap_empty(device.bell.later, VMC_MAX_LINKS) && bell_flush())
		virtqueue_notify(device.bell.vq);
	spin_unlock(&device.bell.lock);
}

static void device_interrupt(struct virtqueue *vq)
{
	tasklet_schedule(&device.tasklet);
}

/**
 * vmc_device_map - map a piece of the window
 * @offset: in the window, bytes, page-aligned, unchecked
 * @bytes: how much, unchecked
 *
 * May sleep. The caller ends the mapping with memunmap().
 *
 * Return: the address, or NULL when the piece is not in the window or there is
 * no memory for page tables.
 */
void *vmc_device_map(u64 offset, u64 bytes)
{
	if (!device.vdev || !bytes || offset > device.window.len ||
	    bytes > device.window.len - offset || !PAGE_ALIGNED(offset))
		return NULL;
	return memremap(device.window.addr + offset, bytes, MEMREMAP_WB);
}

/**
 * vmc_device_address - where a piece of the window lies in physical memory
 * @offset: as in vmc_device_map(), which found the piece good
 */
phys_addr_t vmc_device_address(u64 offset)
{
	return device.window.addr + offset;
}

/**
 * vmc_device_is_present - whether a switch's device is there
 */
bool vmc_device_is_present(void)
{
	return READ_ONCE(device.vdev);
}

/**
 * vmc_device_worker - the queue that messages are handled in
 *
 * For work that must not run beside a message's handler.
 */
struct workqueue_struct *vmc_device_worker(void)
{
	return device.worker;
}

static int device_alloc_buffers(void)
{
	unsigned int nr_events = virtqueue_get_vring_size(device.event.vq);
	unsigned int nr_bells = virtqueue_get_vring_size(device.bell.vq);

	device.event.nr_events = 0;
	device.event.events = kcalloc(nr_events, sizeof(struct event *),
				      GFP_KERNEL);
	device.bell.bells = kcalloc(nr_bells, sizeof(struct vmc_doorbell),
				    GFP_KERNEL);
	device.bell.free = kcalloc(nr_bells, sizeof(struct vmc_doorbell *),
				   GFP_KERNEL);
	if (!device.event.events || !device.bell.bells || !device.bell.free)
		return -ENOMEM;
	/* One by one: the device needs them contiguous in memory. */
	for (; device.event.nr_events < nr_events; device.event.nr_events++) {
		struct event *event = kzalloc(sizeof(*event), GFP_KERNEL);

		if (!event)
			return -ENOMEM;
		device.event.events[device.event.nr_events] = event;
	}
	for (device.bell.nr_free = 0; device.bell.nr_free < nr_bells;
	     device.bell.nr_free++)
		device.bell.free[device.bell.nr_free] =
			&device.bell.bells[device.bell.nr_free];
	bitmap_zero(device.bell.later, VMC_MAX_LINKS);
	return 0;
}

static void device_free_buffers(void)
{
	while (device.event.events && device.event.nr_events)
		kfree(device.event.events[--device.event.nr_events]);
	kfree(device.event.events);
	kfree(device.bell.bells);
	kfree(device.bell.free);
	device.event.events = NULL;
	device.bell.bells = NULL;
	device.bell.free = NULL;
}

static int device_probe(struct virtio_device *vdev)
{
	struct virtqueue_info info[VMC_NR_QUEUES] = {
		[VMC_QUEUE_REQUEST] = { "request", device_interrupt },
		[VMC_QUEUE_EVENT] = { "event", device_interrupt },
		[VMC_QUEUE_DOORBELL] = { "doorbell", device_interrupt },
	};
	struct virtqueue *vqs[VMC_NR_QUEUES];
	unsigned int i;
	int err;

	if (device.vdev) {
		dev_err(&vdev->dev, "another switch serves this guest\n");
		return -EBUSY;
	}
	if (!virtio_has_feature(vdev, VIRTIO_F_VERSION_1) ||
	    !virtio_get_shm_region(vdev, &device.window, VMC_WINDOW_SHMID)) {
		dev_err(&vdev->dev, "not a switch: no window\n");
		return -ENODEV;
	}
	err = virtio_find_vqs(vdev, VMC_NR_QUEUES, vqs, info, NULL);
	if (err)
		return err;
	device.event.vq = vqs[VMC_QUEUE_EVENT];
	device.bell.vq = vqs[VMC_QUEUE_DOORBELL];
	err = device_alloc_buffers();
	if (err)
		goto del_vqs;
	virtqueue_disable_cb(vqs[VMC_QUEUE_REQUEST]);
	virtqueue_disable_cb(vqs[VMC_QUEUE_DOORBELL]);
	device.vdev = vdev;
	virtio_device_ready(vdev);

	spin_lock_bh(&device.request.lock);
	device.request.vq = vqs[VMC_QUEUE_REQUEST];
	spin_unlock_bh(&device.request.lock);
	spin_lock_bh(&device.event.lock);
	for (i = 0; i < device.event.nr_events; i++)
		event_post(device.event.events[i]);
	virtqueue_kick(device.event.vq);
	spin_unlock_bh(&device.event.lock);
	return 0;

del_vqs:
	device.event.vq = NULL;
	device.bell.vq = NULL;
	device_free_buffers();
	vdev->config->del_vqs(vdev);
	return err;
}

/*
 * Contexts that may still use the queues, and why each one ends: senders see
 * the NULL queue under its lock; the interrupt ends with the reset; the
 * tasklet is killed after it; the worker comes to its end last.
 */
static void device_remove(struct virtio_device *vdev)
{
	struct virtqueue *request_vq = device.request.vq;
	struct request *request;

	spin_lock_bh(&device.request.lock);
	device.request.vq = NULL;
	spin_unlock_bh(&device.request.lock);
	spin_lock_bh(&device.event.lock);
	device.event.vq = NULL;
	spin_unlock_bh(&device.event.lock);
	spin_lock_bh(&device.bell.lock);
	device.bell.vq = NULL;
	spin_unlock_bh(&device.bell.lock);

	virtio_reset_device(vdev);
	tasklet_kill(&device.tasklet);
	queue_work(device.worker, &device.gone_work);
	flush_work(&device.gone_work);

	while ((request = virtqueue_detach_unused_buf(request_vq)))
		mempool_free(request, device.requests);
	request_purge();
	vdev->config->del_vqs(vdev);
	device_free_buffers();
	INIT_LIST_HEAD(&device.event.todo);
	device.event.nr_unhandled = 0;
	device.vdev = NULL;
}

static const struct virtio_device_id device_ids[] = {
	{ VMC_VIRTIO_ID, VIRTIO_DEV_ANY_ID },
	{ },
};
MODULE_DEVICE_TABLE(virtio, device_ids);

static struct virtio_driver device_driver = {
	.driver.name	= "vmcircuit",
	.id_table	= device_ids,
	.probe		= device_probe,
	.remove		= device_remove,
};

/**
 * vmc_device_register - start to serve the switch's device
 * @user: whom to call; must outlive the registration
 *
 * Return: 0, -ENOMEM, or what register_virtio_driver() says.
 */
int vmc_device_register(const struct vmc_device_user *user)
{
	int err = -ENOMEM;

	device.user = user;
	spin_lock_init(&device.request.lock);
	spin_lock_init(&device.event.lock);
	spin_lock_init(&device.bell.lock);
	INIT_LIST_HEAD(&device.request.backlog);
	INIT_LIST_HEAD(&device.event.todo);
	INIT_WORK(&device.event_work, event_work);
	INIT_WORK(&device.gone_work, gone_work);
	tasklet_setup(&device.tasklet, device_tasklet);
	device.requests = mempool_create_kmalloc_pool(NR_SPARE_REQUESTS,
						      sizeof(struct request));
	if (!device.requests)
		return -ENOMEM;
	device.worker = alloc_ordered_workqueue("vmcircuit", WQ_HIGHPRI);
	if (!device.worker)
		goto destroy_requests;
	err = register_virtio_driver(&device_driver);
	if (err)
		goto destroy_worker;
	return 0;

destroy_worker:
	destroy_workqueue(device.worker);
destroy_requests:
	mempool_destroy(device.requests);
	return err;
}

/**
 * vmc_device_unregister - undo vmc_device_register()
 *
 * No socket may be left that could still send.
 */
void vmc_device_unregister(void)
{
	unregister_virtio_driver(&device_driver);
	/* Links that are released after a grace period use both. */
	rcu_barrier();
	destroy_workqueue(device.worker);
	mempool_destroy(device.requests);
}
