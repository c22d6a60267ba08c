// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A VM as the switch sees it, whatever carries its messages: what it sends is
 * checked for its form, what it is to hear waits here. Owns the events on their
 * way. What a request means is the broker's business. Called by the broker's
 * files, and by the carriers, guest.c and process.c.
 *
 * Everything sent is put off to the VM's task, which runs when the events at
 * hand are handled: many messages, one interrupt. So is the end of a
 * connection, so that nothing vanishes under a caller.
 */
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "switch/vm.h"

/**
 * vmc_vm_fault - the VM or its hypervisor lied: end the connection
 * @vm: the VM
 * @format: what and which value, for the log
 *
 * The connection ends in the VM's task; until then the VM is doomed and what
 * comes from it is not looked at.
 */
void vmc_vm_fault(struct vmc_vm *vm, const char *format, ...)
{
	char text[256];
	va_list args;

	if (vm->is_doomed)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	vmc_log_limited(&vm->log_limit, VMC_LOG_WARNING,
			"%s \"%s\" is disconnected: %s", vmc_vm_kind(vm),
			vm->config->name, text);
	vm->stats.lies++;
	vm->is_doomed = true;
	vmc_loop_defer(vm->loop, &vm->task);
}

/**
 * vmc_vm_send - send an event
 * @vm: the VM; nothing happens unless it is attached
 * @type: VMC_MSG_, from 64 on
 * @body: as long as the type says, in wire order
 */
void vmc_vm_send(struct vmc_vm *vm, unsigned int type, const void *body)
{
	if (!vm->is_attached || vm->is_doomed)
		return;
	if (vmc_outbox_put(&vm->outbox, type, body)) {
		vmc_vm_fault(vm, "it left %u events unread",
			     VMC_OUTBOX_MESSAGES);
		return;
	}
	vmc_loop_defer(vm->loop, &vm->task);
}

/**
 * vmc_vm_kick - tell the guest to look at a link
 * @vm: the VM
 * @link: its number of the link; several kicks become one
 */
void vmc_vm_kick(struct vmc_vm *vm, uint32_t link)
{
	vm->kicks |= 1ULL << link;
	vmc_loop_defer(vm->loop, &vm->task);
}

/**
 * vmc_vm_take - a request came
 * @vm: the VM
 * @raw_msg: what was sent; what lies beyond @bytes is zero
 * @bytes: how much of it was sent, at most all
 *
 * Return: 0, or -EPROTO when it is no request: the VM is doomed.
 */
int vmc_vm_take(struct vmc_vm *vm, const struct vmc_msg *raw_msg, size_t bytes)
{
	unsigned int type = le16toh(raw_msg->type);
	unsigned int body_bytes;

	body_bytes = type < VMC_MSG_ATTACH ? vmc_msg_body_bytes(type) : 0;
	if (!body_bytes || raw_msg->pad ||
	    le16toh(raw_msg->bytes) !=
	    body_bytes + offsetof(struct vmc_msg, raw) ||
	    bytes < le16toh(raw_msg->bytes)) {
		vmc_vm_fault(vm, "request of type %u with %u of %zu bytes",
			     type, le16toh(raw_msg->bytes), bytes);
		return -EPROTO;
	}
	vm->stats.requests++;
	vm->ops->request(vm, raw_msg);
	return 0;
}

static int give_kick(struct vmc_vm *vm, uint32_t link)
{
	const size_t bytes = offsetof(struct vmc_msg, raw) +
			     sizeof(struct vmc_kick);
	const struct {
		__le16 type;
		__le16 bytes;
		__le32 pad;
		struct vmc_kick kick;
	} msg = {
		.type = htole16(VMC_MSG_KICK),
		.bytes = htole16((uint16_t)bytes),
		.kick.link = htole32(link),
	};

	return vm->carrier->give(vm, (const struct vmc_msg *)&msg, bytes);
}

/**
 * vmc_vm_flush - give the VM what waits for it, as far as there is room
 * @vm: the VM
 */
void vmc_vm_flush(struct vmc_vm *vm)
{
	const struct vmc_msg *msg;
	uint32_t link;

	if (!vm->is_attached)
		return;
	while (!vm->is_doomed && (msg = vmc_outbox_first(&vm->outbox))) {
		if (vm->carrier->give(vm, msg, le16toh(msg->bytes)))
			break;
		vmc_outbox_drop_first(&vm->outbox);
		vm->stats.events++;
	}
	while (!vm->is_doomed && vm->kicks &&
	       !vmc_outbox_first(&vm->outbox)) {
		link = (uint32_t)__builtin_ctzll(vm->kicks);
		if (give_kick(vm, link))
			break;
		vm->kicks &= vm->kicks - 1;
		vm->stats.kicks_out++;
	}
	vm->carrier->flushed(vm, !vm->kicks && !vmc_outbox_first(&vm->outbox));
}

/**
 * vmc_vm_attach - messages can travel: begin with ATTACH
 * @vm: the VM; nothing happens if it is attached
 */
void vmc_vm_attach(struct vmc_vm *vm)
{
	struct vmc_attach attach = {
		.version = htole32(VMC_PROTOCOL_VERSION),
		.epoch = htole64(vm->epoch),
	};

	if (vm->is_attached)
		return;
	vm->is_attached = true;
	vm->stats.attachments++;
	vmc_log(VMC_LOG_INFO, "%s \"%s\" is attached", vmc_vm_kind(vm),
		vm->config->name);
	vmc_vm_send(vm, VMC_MSG_ATTACH, &attach);
}

/**
 * vmc_vm_detach - messages can travel no more
 * @vm: the VM; nothing happens unless it is attached
 */
void vmc_vm_detach(struct vmc_vm *vm)
{
	if (!vm->is_attached)
		return;
	vm->is_attached = false;
	vmc_outbox_clear(&vm->outbox);
	vm->kicks = 0;
	vm->ops->detached(vm);
	vmc_log(VMC_LOG_INFO, "%s \"%s\" is detached", vmc_vm_kind(vm),
		vm->config->name);
}

/**
 * vmc_vm_disconnect - end what carries the messages
 * @vm: the VM; somebody may connect again afterwards
 */
void vmc_vm_disconnect(struct vmc_vm *vm)
{
	vmc_vm_detach(vm);
	vm->carrier->close(vm);
	vm->is_doomed = false;
}

static void run_task(struct vmc_task *task)
{
	struct vmc_vm *vm = vmc_container_of(task, struct vmc_vm, task);

	if (!vm->is_doomed)
		vmc_vm_flush(vm);
	if (!vm->is_doomed)
		vm->carrier->go_on(vm);
	if (vm->is_doomed)
		vmc_vm_disconnect(vm);
}

/**
 * vmc_vm_init - make a VM that nobody can connect to yet
 * @vm: all zero
 * @config: what the file says of it; outlives the VM
 * @carrier: brings its messages
 * @loop: watches its descriptors
 * @epoch: of this run of the switch
 * @ops: calls upwards
 * @owner: for @ops
 *
 * Return: 0, or -ENOMEM.
 */
int vmc_vm_init(struct vmc_vm *vm, const struct vmc_config_vm *config,
		const struct vmc_carrier *carrier, struct vmc_loop *loop,
		uint64_t epoch, const struct vmc_vm_ops *ops, void *owner)
{
	vm->config = config;
	vm->carrier = carrier;
	vm->ops = ops;
	vm->owner = owner;
	vm->loop = loop;
	vm->epoch = epoch;
	vm->task.run = run_task;
	vm->page.fd = -1;
	vm->carrier->init(vm);
	return vmc_outbox_init(&vm->outbox);
}

/**
 * vmc_vm_destroy - end a VM
 * @vm: initialised; its broker state is dropped through detached()
 */
void vmc_vm_destroy(struct vmc_vm *vm)
{
	vmc_vm_disconnect(vm);
	vmc_loop_cancel(vm->loop, &vm->task);
	vmc_outbox_free(&vm->outbox);
}
