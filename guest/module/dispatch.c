// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the switch says, and who acts on it. Runs in the device's worker, one
 * message after the other; but answers to CONNECT, and OFFERs to listeners, that
 * come when it has nothing to do are taken at once.
 */
#define pr_fmt(fmt) "vmcircuit: " fmt
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/ratelimit.h>
#include "attach.h"
#include "circuit.h"
#include "connect.h"
#include "dispatch.h"
#include "flow.h"
#include "hub.h"
#include "link.h"
#include "listen.h"
#include "offer.h"
#include "request.h"

/**
 * vmc_dispatch_switch_lost - no word will come from this switch any more
 *
 * Device's worker.
 */
void vmc_dispatch_switch_lost(void)
{
	vmc_link_down_all();
	vmc_connect_fail_all(ECONNRESET);
	vmc_flow_fail_all(EHOSTUNREACH);
	vmc_listen_switch_gone();
}

/*
 * At HELLO the switch puts other memory where our segments were, so HELLO
 * waits for those who still copy. They do not wait for page faults (stream.c),
 * so that is soon.
 */
static bool is_hello_due;

/**
 * vmc_dispatch_links_released - no segment is mapped any more
 *
 * Device's worker.
 */
void vmc_dispatch_links_released(void)
{
	if (!is_hello_due)
		return;
	is_hello_due = false;
	vmc_attach_hello();
}

/**
 * vmc_dispatch_switch_found - start afresh with the switch
 *
 * Device's worker.
 */
void vmc_dispatch_switch_found(void)
{
	is_hello_due = true;
	if (!vmc_link_is_any())
		vmc_dispatch_links_released();
}

static void on_attach(const struct vmc_attach *attach)
{
	vmc_attach_begin(le64_to_cpu(attach->epoch));
	vmc_dispatch_switch_lost();
	if (attach->version == cpu_to_le32(VMC_PROTOCOL_VERSION))
		vmc_dispatch_switch_found();
	else
		pr_err("the switch speaks protocol version %u, this module %u: update the older one\n",
		       le32_to_cpu(attach->version), VMC_PROTOCOL_VERSION);
}

static void on_welcome(const struct vmc_welcome *welcome)
{
	int err = vmc_attach_welcome(welcome);

	if (err) {
		pr_err("cannot attach to the switch: error %d\n", err);
		return;
	}
	vmc_listen_register_all();
	vmc_hub_dial();
}

static void on_link_up(const struct vmc_link_up *up)
{
	int err = vmc_link_up(up, vmc_attach_generation());

	if (err)
		pr_err_ratelimited("cannot use link %u: error %d\n",
				   le32_to_cpu(up->link), err);
}

/* An errno of the switch that is none would hang or confuse a program. */
static int checked_error(__le32 raw_error, int otherwise)
{
	u32 error = le32_to_cpu(raw_error);

	return error && error <= MAX_ERRNO ? error : otherwise;
}

static void on_link_down(const struct vmc_link_down *down)
{
	vmc_offer_forget_link(le32_to_cpu(down->link));
	vmc_link_down(down, vmc_attach_generation());
}

static void on_reset(const struct vmc_reset *reset)
{
	struct vmc_close close = { .id = reset->id };
	u32 slot = le32_to_cpu(reset->id.slot);
	struct vmc_circuit *circuit;
	struct vmc_link *link;

	if (vmc_offer_withdraw(&reset->id)) {
		vmc_request_send(vmc_attach_generation(), VMC_MSG_CLOSE, &close,
				GFP_KERNEL);
		return;
	}
	link = vmc_link_get(le32_to_cpu(reset->id.link));
	if (!link)
		return;
	if (slot < VMC_SLOTS_PER_LINK) {
		rcu_read_lock();
		circuit = vmc_link_circuit(link, slot);
		if (circuit &&
		    circuit->generation == le32_to_cpu(reset->id.generation))
			circuit->user->reset(circuit,
					     checked_error(reset->error,
							   ECONNRESET));
		rcu_read_unlock();
	}
	vmc_link_put(link);
}

/*
 * Between the loss of a switch and its WELCOME it may still say what belongs to
 * the attachment that is over. HELLO voids it there, so it is void here.
 */
static bool is_void(unsigned int type)
{
	return !vmc_attach_generation() && type != VMC_MSG_ATTACH &&
	       type != VMC_MSG_WELCOME;
}

static bool is_whole(const struct vmc_msg *msg, unsigned int bytes)
{
	unsigned int should_bytes = offsetof(struct vmc_msg, raw) +
		vmc_msg_body_bytes(le16_to_cpu(msg->type));

	return bytes >= should_bytes && le16_to_cpu(msg->bytes) == should_bytes;
}

static bool on_connected(const struct vmc_connected *connected)
{
	if (connected->cookie == cpu_to_le32(VMC_HUB_COOKIE))
		return vmc_hub_answered(connected);
	return vmc_flow_is_cookie(le32_to_cpu(connected->cookie)) ?
	       vmc_flow_answered(connected) : vmc_connect_answered(connected);
}

static void on_unwanted(const struct vmc_connected *connected)
{
	if (connected->cookie == cpu_to_le32(VMC_HUB_COOKIE))
		vmc_circuit_reject(&connected->id, vmc_attach_generation());
	else if (vmc_flow_is_cookie(le32_to_cpu(connected->cookie)))
		vmc_flow_reject(connected, vmc_attach_generation());
	else
		vmc_connect_reject(connected, vmc_attach_generation());
}

static void on_failed(const struct vmc_failed *failed)
{
	int error = checked_error(failed->error, ECONNREFUSED);
	u32 cookie = le32_to_cpu(failed->cookie);

	if (cookie == VMC_HUB_COOKIE)
		vmc_hub_failed(error);
	else if (vmc_flow_is_cookie(cookie))
		vmc_flow_failed(cookie, error);
	else
		vmc_connect_failed(cookie, error);
}

static void on_offer(const struct vmc_offer *offer)
{
	if (offer->flags & cpu_to_le32(VMC_CIRCUIT_DATAGRAM))
		vmc_flow_offered(offer);
	else
		vmc_listen_offered(offer);
}

static bool on_offer_early(const struct vmc_offer *offer)
{
	return !(offer->flags & cpu_to_le32(VMC_CIRCUIT_DATAGRAM)) &&
	       vmc_listen_offered_early(offer);
}

/*
 * Bottom halves. The worker may be giving the switch up meanwhile: it marks
 * links dead, and only then fails the connects.
 */
static bool dispatch_early(const struct vmc_msg *msg, unsigned int bytes)
{
	unsigned int type = le16_to_cpu(msg->type);

	if (!is_whole(msg, bytes) || is_void(type))
		return false;
	switch (type) {
	case VMC_MSG_OFFER:
		return on_offer_early(&msg->offer);
	case VMC_MSG_CONNECTED:
		return on_connected(&msg->connected);
	case VMC_MSG_FAILED:
		on_failed(&msg->failed);
		return true;
	default:
		return false;
	}
}

static void dispatch_message(const struct vmc_msg *msg, unsigned int bytes)
{
	unsigned int type = le16_to_cpu(msg->type);

	if (!is_whole(msg, bytes)) {
		pr_warn_ratelimited("message of type %u has %u bytes, ignored\n",
				    type, bytes);
		return;
	}
	if (is_void(type))
		return;
	switch (type) {
	case VMC_MSG_ATTACH:
		on_attach(&msg->attach);
		break;
	case VMC_MSG_WELCOME:
		on_welcome(&msg->welcome);
		break;
	case VMC_MSG_LISTENING:
		vmc_listen_answered(le32_to_cpu(msg->listening.listener),
				    le32_to_cpu(msg->listening.error));
		break;
	case VMC_MSG_LINK_UP:
		on_link_up(&msg->link_up);
		break;
	case VMC_MSG_LINK_DOWN:
		on_link_down(&msg->link_down);
		break;
	case VMC_MSG_OFFER:
		on_offer(&msg->offer);
		break;
	case VMC_MSG_CONNECTED:
		if (!on_connected(&msg->connected))
			on_unwanted(&msg->connected);
		break;
	case VMC_MSG_FAILED:
		on_failed(&msg->failed);
		break;
	case VMC_MSG_RESET:
		on_reset(&msg->reset);
		break;
	default:
		pr_warn_ratelimited("message of unknown type %u, ignored\n",
				    type);
	}
}

static void dispatch_gone(void)
{
	is_hello_due = false;
	vmc_attach_gone();
	vmc_dispatch_switch_lost();
}

const struct vmc_device_user vmc_dispatch = {
	.message	= dispatch_message,
	.message_early	= dispatch_early,
	.kick		= vmc_link_hear,
	.gone		= dispatch_gone,
};
