// SPDX-License-Identifier: GPL-2.0-only
/*
 * The virtio device: its birth and end, its interrupt, and the window. The
 * three queues are request.c, event.c and doorbell.c. One switch a guest, so
 * one device; a second one is refused.
 */
#define pr_fmt(fmt) "vmcircuit: " fmt
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/workqueue.h>
#include "device.h"
#include "doorbell.h"
#include "event.h"
#include "request.h"

static struct {
	const struct vmc_device_user *user;	/* fixed after registration */
	struct virtio_device *vdev;		/* NULL: no device */
	struct virtio_shm_region window;
	struct workqueue_struct *worker;
	struct work_struct gone_work;
	struct tasklet_struct tasklet;
} device;

static void gone_work(struct work_struct *work)
{
	device.user->gone();
}

static void device_tasklet(struct tasklet_struct *tasklet)
{
	vmc_event_look();
	vmc_request_look();
	vmc_doorbell_look();
}

static void device_interrupt(struct virtqueue *vq)
{
	tasklet_schedule(&device.tasklet);
}

/**
 * vmc_device_look - look at the queues once more, soon
 *
 * Any context.
 */
void vmc_device_look(void)
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

static int device_probe(struct virtio_device *vdev)
{
	struct virtqueue_info info[VMC_NR_QUEUES] = {
		[VMC_QUEUE_REQUEST] = { "request", device_interrupt },
		[VMC_QUEUE_EVENT] = { "event", device_interrupt },
		[VMC_QUEUE_DOORBELL] = { "doorbell", device_interrupt },
	};
	struct virtqueue *vqs[VMC_NR_QUEUES];
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
	virtqueue_disable_cb(vqs[VMC_QUEUE_REQUEST]);
	err = vmc_event_open(vqs[VMC_QUEUE_EVENT]);
	if (!err)
		err = vmc_doorbell_open(vqs[VMC_QUEUE_DOORBELL]);
	if (err)
		goto free_buffers;
	device.vdev = vdev;
	virtio_device_ready(vdev);
	vmc_request_open(vqs[VMC_QUEUE_REQUEST]);
	vmc_event_post_all(vqs[VMC_QUEUE_EVENT]);
	return 0;

free_buffers:
	vmc_doorbell_free();
	vmc_event_free();
	vdev->config->del_vqs(vdev);
	return err;
}

/*
 * Contexts that may still use the queues, and why each one ends: senders see
 * that they are shut; the interrupt ends with the reset; the tasklet is killed
 * after it; the worker comes to its end last.
 */
static void device_remove(struct virtio_device *vdev)
{
	struct virtqueue *requests = vmc_request_shut();

	vmc_event_shut();
	vmc_doorbell_shut();

	virtio_reset_device(vdev);
	tasklet_kill(&device.tasklet);
	queue_work(device.worker, &device.gone_work);
	flush_work(&device.gone_work);

	vmc_request_discard(requests);
	vdev->config->del_vqs(vdev);
	vmc_event_free();
	vmc_doorbell_free();
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
	int err;

	device.user = user;
	vmc_event_init(user);
	INIT_WORK(&device.gone_work, gone_work);
	tasklet_setup(&device.tasklet, device_tasklet);
	err = vmc_request_init();
	if (err)
		return err;
	err = -ENOMEM;
	device.worker = alloc_ordered_workqueue("vmcircuit", WQ_HIGHPRI);
	if (!device.worker)
		goto exit_requests;
	err = register_virtio_driver(&device_driver);
	if (err)
		goto destroy_worker;
	return 0;

destroy_worker:
	destroy_workqueue(device.worker);
exit_requests:
	vmc_request_exit();
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
	vmc_request_exit();
}
