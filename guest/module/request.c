// SPDX-License-Identifier: GPL-2.0-only
/*
 * The request queue: messages to the switch, in order. Owns their buffers, and
 * keeps those for which the queue has no room. Called by whoever has something
 * to say, and by device.c.
 */
#include <linux/mempool.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include "../../proto/wire.h"
#include "device.h"
#include "request.h"
#include "stats.h"

/* Requests that are always to be had, for those who cannot wait for memory. */
#define NR_SPARE_REQUESTS 64

/* Requests that may wait for room in the queue before connect() fails. */
#define MAX_BACKLOG 4096

struct vmc_request {
	struct list_head node;
	unsigned int bytes;
	struct vmc_msg msg;
};

static struct {
	mempool_t *pool;
	spinlock_t lock;		/* a leaf; bottom halves off */
	struct virtqueue *vq;		/* NULL: no device */
	struct list_head backlog;	/* struct vmc_request, in order */
	unsigned int nr_backlog;
	u32 attachment;			/* the last HELLO's */
	bool is_kick_due;		/* the switch may sleep, and not know */
	struct timer_list kick_timer;	/* soon, at the latest */
} request_queue;

/* Caller holds the lock. */
static void request_reclaim(void)
{
	struct vmc_request *request;
	unsigned int bytes;

	while ((request = virtqueue_get_buf(request_queue.vq, &bytes)))
		vmc_request_free(request);
}

/*
 * Caller holds the lock. What is not urgent the switch hears of with the next
 * request: each kick is an exit to the hypervisor, and wakes the switch.
 */
static void request_kick(bool is_urgent)
{
	if (!request_queue.is_kick_due)
		return;
	if (is_urgent) {
		request_queue.is_kick_due = false;
		virtqueue_kick(request_queue.vq);
	} else if (!timer_pending(&request_queue.kick_timer)) {
		mod_timer(&request_queue.kick_timer, jiffies + 1);
	}
}

static void request_kick_late(struct timer_list *timer)
{
	spin_lock(&request_queue.lock);
	if (request_queue.vq)
		request_kick(true);
	spin_unlock(&request_queue.lock);
}

/* Caller holds the lock. Moves what fits from backlog to queue. */
static void request_flush(bool is_urgent)
{
	struct vmc_request *request, *next;
	struct scatterlist sg;

	request_reclaim();
	list_for_each_entry_safe(request, next, &request_queue.backlog,
				 node) {
		sg_init_one(&sg, &request->msg, request->bytes);
		if (virtqueue_add_outbuf(request_queue.vq, &sg, 1, request,
					 GFP_ATOMIC))
			break;
		list_del(&request->node);
		request_queue.nr_backlog--;
		request_queue.is_kick_due = true;
	}
	request_kick(is_urgent || !list_empty(&request_queue.backlog));
	/* A used buffer wakes us only while something waits for room. */
	if (list_empty(&request_queue.backlog))
		virtqueue_disable_cb(request_queue.vq);
	else if (!virtqueue_enable_cb(request_queue.vq))
		vmc_device_look();
}

/* Caller holds the lock. */
static void request_purge(void)
{
	struct vmc_request *request, *next;

	list_for_each_entry_safe(request, next, &request_queue.backlog, node)
		vmc_request_free(request);
	INIT_LIST_HEAD(&request_queue.backlog);
	request_queue.nr_backlog = 0;
}

/**
 * vmc_request_alloc - memory for a request
 * @gfp: GFP_KERNEL cannot fail; GFP_ATOMIC may
 *
 * Return: for vmc_request_submit() or vmc_request_free(), or NULL.
 */
struct vmc_request *vmc_request_alloc(gfp_t gfp)
{
	return mempool_alloc(request_queue.pool, gfp);
}

/**
 * vmc_request_free - memory that was not needed after all
 * @request: from vmc_request_alloc()
 */
void vmc_request_free(struct vmc_request *request)
{
	mempool_free(request, request_queue.pool);
}

/**
 * vmc_request_submit - send a request to the switch
 * @request: from vmc_request_alloc(), used up
 * @attachment: to which it belongs (vmc_attach_generation()); a HELLO begins
 *		it, and whatever belongs to an earlier one is not sent
 * @type: VMC_MSG_ below VMC_MSG_ATTACH
 * @body: the type's body
 * @is_urgent: or the switch hears of it within a jiffy
 *
 * Requests go out in the order of the calls. Any context but hard interrupt.
 *
 * Return: 0, -ENODEV without a device, -ESTALE when another attachment has
 * begun; a CONNECT gets -ENOBUFS when the switch does not keep up.
 */
int vmc_request_submit(struct vmc_request *request, u32 attachment, u16 type,
		       const void *body, bool is_urgent)
{
	unsigned int body_bytes = vmc_msg_body_bytes(type);
	int err = 0;

	request->bytes = offsetof(struct vmc_msg, raw) + body_bytes;
	memset(&request->msg, 0, offsetof(struct vmc_msg, raw));
	request->msg.type = cpu_to_le16(type);
	request->msg.bytes = cpu_to_le16(request->bytes);
	memcpy(request->msg.raw, body, body_bytes);

	spin_lock_bh(&request_queue.lock);
	if (type == VMC_MSG_HELLO) {
		request_purge();
		request_queue.attachment = attachment;
	}
	if (!request_queue.vq) {
		err = -ENODEV;
	} else if (attachment != request_queue.attachment) {
		err = -ESTALE;
	} else if (type == VMC_MSG_CONNECT &&
		   request_queue.nr_backlog >= MAX_BACKLOG) {
		err = -ENOBUFS;
	} else {
		list_add_tail(&request->node, &request_queue.backlog);
		request_queue.nr_backlog++;
		request_flush(is_urgent);
		vmc_stat_inc(messages_sent);
	}
	spin_unlock_bh(&request_queue.lock);
	if (err)
		vmc_request_free(request);
	return err;
}

/**
 * vmc_request_send - vmc_request_submit() with memory of its own
 * @attachment: as there
 * @type: likewise
 * @body: likewise
 * @gfp: as for vmc_request_alloc()
 *
 * Return: -ENOMEM, or as vmc_request_submit().
 */
int vmc_request_send(u32 attachment, u16 type, const void *body, gfp_t gfp)
{
	struct vmc_request *request = vmc_request_alloc(gfp);

	return request ? vmc_request_submit(request, attachment, type, body,
					    true) : -ENOMEM;
}

/**
 * vmc_request_look - the switch took requests: go on with those that wait
 *
 * Tasklet.
 */
void vmc_request_look(void)
{
	spin_lock(&request_queue.lock);
	if (request_queue.vq && !list_empty(&request_queue.backlog))
		request_flush(true);
	spin_unlock(&request_queue.lock);
}

/**
 * vmc_request_open - the queue is ready
 * @vq: used until vmc_request_shut()
 */
void vmc_request_open(struct virtqueue *vq)
{
	spin_lock_bh(&request_queue.lock);
	request_queue.vq = vq;
	spin_unlock_bh(&request_queue.lock);
}

/**
 * vmc_request_shut - nobody touches the queue any more
 *
 * Return: the queue, for vmc_request_discard().
 */
struct virtqueue *vmc_request_shut(void)
{
	struct virtqueue *vq;

	spin_lock_bh(&request_queue.lock);
	vq = request_queue.vq;
	request_queue.vq = NULL;
	request_queue.is_kick_due = false;
	spin_unlock_bh(&request_queue.lock);
	return vq;
}

/**
 * vmc_request_discard - drop what was not taken
 * @vq: of a device that was reset; shut
 */
void vmc_request_discard(struct virtqueue *vq)
{
	struct vmc_request *request;

	while ((request = virtqueue_detach_unused_buf(vq)))
		vmc_request_free(request);
	request_purge();
}

/**
 * vmc_request_init - before anyone sends
 *
 * Return: 0 or -ENOMEM.
 */
int vmc_request_init(void)
{
	spin_lock_init(&request_queue.lock);
	INIT_LIST_HEAD(&request_queue.backlog);
	timer_setup(&request_queue.kick_timer, request_kick_late, 0);
	request_queue.pool =
		mempool_create_kmalloc_pool(NR_SPARE_REQUESTS,
					    sizeof(struct vmc_request));
	return request_queue.pool ? 0 : -ENOMEM;
}

/**
 * vmc_request_exit - after the last device
 */
void vmc_request_exit(void)
{
	timer_shutdown_sync(&request_queue.kick_timer);
	mempool_destroy(request_queue.pool);
}
