// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's attachment to its switch: the handshake, who we are there, and
 * whether the switch still lives.
 *
 * QEMU does not tell a guest that the switch's process is gone, so the switch
 * beats in a page that we look at: often while circuits are open, seldom
 * otherwise. A switch that beats again after it was given up gets a new HELLO.
 *
 * All runs in the device's worker; attach.lock is for who reads /proc.
 */
#define pr_fmt(fmt) "vmcircuit: " fmt
#include <linux/inet.h>
#include <linux/io.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/workqueue.h>
#include "attach.h"
#include "device.h"
#include "netdev.h"
#include "request.h"
#include "stats.h"
#include "../../proto/ring.h"

/* Between two looks at the heartbeat while no circuit is open, ms. */
#define IDLE_LOOK_MS 1000

enum attach_status {
	ATTACH_ABSENT,		/* no device */
	ATTACH_WAITING,		/* HELLO sent, or no ATTACH yet */
	ATTACH_UP,
	ATTACH_LOST,		/* the heartbeat stopped */
};

static struct {
	struct mutex lock;
	enum attach_status status;
	u32 generation;		/* counts HELLOs, never 0 after the first */
	u64 epoch;
	struct vmc_welcome welcome;
	struct vmc_switch_page *page;
	u32 heartbeat;		/* seen last */
	unsigned int nr_still;	/* looks without an advance */
	struct delayed_work look;
	bool is_watchful;	/* the next look comes soon */
	void (*lost)(void);
	void (*found)(void);
} attach;

/* Circuits, and connects under way: whoever a silent death would hang. */
static atomic_t nr_users;

static void attach_unmap_page(void)
{
	if (attach.page)
		memunmap(attach.page);
	attach.page = NULL;
}

static void attach_look(struct work_struct *work)
{
	bool is_beating, is_lost = false, is_found = false;
	u32 heartbeat;

	mutex_lock(&attach.lock);
	if (!attach.page)
		goto unlock;
	heartbeat = le32_to_cpu(READ_ONCE(attach.page->heartbeat));
	is_beating = heartbeat != attach.heartbeat;
	attach.heartbeat = heartbeat;
	attach.nr_still = is_beating ? 0 : attach.nr_still + 1;
	if (attach.status == ATTACH_UP &&
	    attach.nr_still >= VMC_LIVENESS_LOOKS) {
		WRITE_ONCE(attach.status, ATTACH_LOST);
		is_lost = true;
	} else if (attach.status == ATTACH_LOST && is_beating) {
		is_found = true;
	}
	WRITE_ONCE(attach.is_watchful, attach.nr_still);
	smp_mb(); /* vmc_attach_hold() counts, then looks here */
	if (atomic_read(&nr_users))
		WRITE_ONCE(attach.is_watchful, true);
	queue_delayed_work(vmc_device_worker(), &attach.look,
			   msecs_to_jiffies(attach.is_watchful ?
					    VMC_LIVENESS_LOOK_MS :
					    IDLE_LOOK_MS));
unlock:
	mutex_unlock(&attach.lock);
	if (is_lost) {
		pr_warn("the switch does not answer, circuits are reset\n");
		vmc_stat_inc(switch_lost);
		vmc_netdev_set_carrier(false);
		attach.lost();
	}
	if (is_found)
		attach.found();
}

/**
 * vmc_attach_hold - from now on a silent death of the switch hurts somebody
 *
 * Any context but hard interrupt. The caller ends with vmc_attach_drop().
 */
void vmc_attach_hold(void)
{
	atomic_inc_return(&nr_users);
	/* Bring the next look forward; never put it off. */
	if (READ_ONCE(attach.is_watchful) || !vmc_attach_generation())
		return;
	WRITE_ONCE(attach.is_watchful, true);
	mod_delayed_work(vmc_device_worker(), &attach.look,
			 msecs_to_jiffies(VMC_LIVENESS_LOOK_MS));
}

/**
 * vmc_attach_drop - undo vmc_attach_hold()
 */
void vmc_attach_drop(void)
{
	atomic_dec(&nr_users);
}

/**
 * vmc_attach_init - before the device may speak
 * @lost: called when the switch stops to beat; device's worker
 * @found: called when it beats again; likewise
 */
void vmc_attach_init(void (*lost)(void), void (*found)(void))
{
	mutex_init(&attach.lock);
	attach.lost = lost;
	attach.found = found;
	INIT_DELAYED_WORK(&attach.look, attach_look);
}

/**
 * vmc_attach_exit - after the device has gone
 */
void vmc_attach_exit(void)
{
	attach_unmap_page();
}

/**
 * vmc_attach_generation - which attachment to a switch this is
 *
 * Return: a number that each HELLO changes, or 0 while none is attached.
 */
u32 vmc_attach_generation(void)
{
	return READ_ONCE(attach.status) == ATTACH_UP ?
	       READ_ONCE(attach.generation) : 0;
}

/**
 * vmc_attach_has - what the switch knows
 * @feature: VMC_FEATURE_
 *
 * A hint, unless one is attached.
 */
bool vmc_attach_has(u64 feature)
{
	return READ_ONCE(attach.welcome.features) & cpu_to_le64(feature);
}

/**
 * vmc_attach_begin - ATTACH came: what was is over
 * @epoch: the switch's
 *
 * Device's worker. Nobody may connect or listen from here on until WELCOME.
 */
void vmc_attach_begin(u64 epoch)
{
	mutex_lock(&attach.lock);
	WRITE_ONCE(attach.status, ATTACH_WAITING);
	attach_unmap_page();
	attach.epoch = epoch;
	mutex_unlock(&attach.lock);
}

/**
 * vmc_attach_hello - present ourselves
 *
 * Device's worker, when no segment of an earlier attachment is mapped.
 */
void vmc_attach_hello(void)
{
	struct vmc_hello hello = {
		.version = cpu_to_le32(VMC_PROTOCOL_VERSION),
		.features = cpu_to_le64(VMC_FEATURE_DATAGRAM),
		.epoch = cpu_to_le64(attach.epoch),
	};

	mutex_lock(&attach.lock);
	WRITE_ONCE(attach.status, ATTACH_WAITING);
	attach_unmap_page();
	if (!++attach.generation)
		attach.generation = 1;
	vmc_request_send(attach.generation, VMC_MSG_HELLO, &hello, GFP_KERNEL);
	mutex_unlock(&attach.lock);
}

/**
 * vmc_attach_welcome - WELCOME came
 * @welcome: unchecked
 *
 * Device's worker.
 *
 * Return: 0, -EPROTO if it is not an answer to our HELLO or makes no sense,
 * -ENOMEM; or the switch's own refusal, negative.
 */
int vmc_attach_welcome(const struct vmc_welcome *welcome)
{
	u32 nr_addresses = le32_to_cpu(welcome->nr_addresses);
	struct vmc_switch_page *page;
	int err = -EPROTO;

	mutex_lock(&attach.lock);
	if (attach.status != ATTACH_WAITING ||
	    welcome->version != cpu_to_le32(VMC_PROTOCOL_VERSION) ||
	    welcome->epoch != cpu_to_le64(attach.epoch) ||
	    nr_addresses > VMC_MAX_ADDRESSES ||
	    le32_to_cpu(welcome->nr_resolvers) > VMC_MAX_RESOLVERS)
		goto unlock;
	err = -(int)le32_to_cpu(welcome->error);
	if (err)
		goto unlock;
	page = vmc_device_map(le64_to_cpu(welcome->switch_page),
			      sizeof(*page));
	err = -ENOMEM;
	if (!page)
		goto unlock;
	err = -EPROTO;
	if (READ_ONCE(page->magic) != cpu_to_le64(VMC_SWITCH_MAGIC)) {
		memunmap(page);
		goto unlock;
	}
	attach_unmap_page();
	attach.page = page;
	attach.welcome = *welcome;
	attach.welcome.name[VMC_NAME_BYTES - 1] = '\0';
	attach.heartbeat = le32_to_cpu(READ_ONCE(page->heartbeat));
	attach.nr_still = 0;
	WRITE_ONCE(attach.status, ATTACH_UP);
	err = 0;
unlock:
	mutex_unlock(&attach.lock);
	if (!err) {
		vmc_netdev_set_carrier(true);
		WRITE_ONCE(attach.is_watchful, true);
		mod_delayed_work(vmc_device_worker(), &attach.look,
				 msecs_to_jiffies(VMC_LIVENESS_LOOK_MS));
	}
	return err;
}

/**
 * vmc_attach_gone - the device has gone
 */
void vmc_attach_gone(void)
{
	cancel_delayed_work_sync(&attach.look);
	mutex_lock(&attach.lock);
	WRITE_ONCE(attach.status, ATTACH_ABSENT);
	attach_unmap_page();
	mutex_unlock(&attach.lock);
	vmc_netdev_set_carrier(false);
}

static void address_print(struct seq_file *seq, const char *key,
			  const struct vmc_address *addr)
{
	if (addr->family == VMC_FAMILY_INET)
		seq_printf(seq, "%s %pI4/%u\n", key, addr->address,
			   addr->prefix);
	else if (addr->family == VMC_FAMILY_INET6)
		seq_printf(seq, "%s %pI6c/%u\n", key, addr->address,
			   addr->prefix);
}

/* Under attach.lock, after the first WELCOME. */
static void welcome_print(struct seq_file *seq)
{
	const struct vmc_welcome *welcome = &attach.welcome;
	unsigned int i;

	seq_printf(seq, "name %s\n", welcome->name);
	seq_printf(seq, "epoch %016llx\n", attach.epoch);
	for (i = 0; i < le32_to_cpu(welcome->nr_addresses); i++)
		address_print(seq, "address", &welcome->addresses[i]);
	seq_printf(seq, "uplink %s\n",
		   welcome->features & cpu_to_le64(VMC_FEATURE_UPLINK) ?
		   "yes" : "no");
	seq_printf(seq, "uplink_datagrams %s\n",
		   welcome->features &
		   cpu_to_le64(VMC_FEATURE_UPLINK_DATAGRAM) ? "yes" : "no");
	for (i = 0; i < le32_to_cpu(welcome->nr_resolvers); i++)
		address_print(seq, "resolver", &welcome->resolvers[i]);
}

/**
 * vmc_attach_print - lines "key value" for /proc
 * @seq: where to
 */
void vmc_attach_print(struct seq_file *seq)
{
	static const char * const names[] = {
		[ATTACH_ABSENT]	 = "absent",
		[ATTACH_WAITING] = "waiting",
		[ATTACH_UP]	 = "attached",
		[ATTACH_LOST]	 = "lost",
	};
	enum attach_status status;

	mutex_lock(&attach.lock);
	status = attach.status;
	if (status == ATTACH_ABSENT && vmc_device_is_present())
		status = ATTACH_WAITING;
	seq_printf(seq, "state %s\n", names[status]);
	if (attach.welcome.version)
		welcome_print(seq);
	mutex_unlock(&attach.lock);
}
