// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Events that wait for a guest's buffers: a bounded queue, allocated once.
 * Owns the messages. Called by vm.c.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "switch/outbox.h"

/**
 * vmc_outbox_init - make an empty queue
 * @outbox: the queue
 *
 * Return: 0, or -ENOMEM.
 */
int vmc_outbox_init(struct vmc_outbox *outbox)
{
	outbox->prod = 0;
	outbox->cons = 0;
	outbox->slots = calloc(VMC_OUTBOX_MESSAGES, VMC_OUTBOX_SLOT_BYTES);
	return outbox->slots ? 0 : -ENOMEM;
}

/**
 * vmc_outbox_free - undo vmc_outbox_init()
 * @outbox: the queue
 */
void vmc_outbox_free(struct vmc_outbox *outbox)
{
	free(outbox->slots);
	outbox->slots = NULL;
}

/**
 * vmc_outbox_put - append a message
 * @outbox: the queue
 * @type: VMC_MSG_
 * @body: as long as the type says
 *
 * Return: 0, or -ENOBUFS when the queue is full.
 */
int vmc_outbox_put(struct vmc_outbox *outbox, unsigned int type,
		   const void *body)
{
	unsigned int bytes = vmc_msg_body_bytes(type);
	uint8_t *slot;
	struct {
		__le16 type;
		__le16 bytes;
		__le32 pad;
	} header = {
		.type = htole16((uint16_t)type),
		.bytes = htole16((uint16_t)(bytes + sizeof(header))),
	};

	if (outbox->prod - outbox->cons == VMC_OUTBOX_MESSAGES)
		return -ENOBUFS;
	slot = outbox->slots[outbox->prod & (VMC_OUTBOX_MESSAGES - 1)];
	memcpy(slot, &header, sizeof(header));
	memcpy(slot + sizeof(header), body, bytes);
	outbox->prod++;
	return 0;
}

/**
 * vmc_outbox_first - the oldest message
 * @outbox: the queue
 *
 * Return: the message, of which only @bytes count; NULL when there is none.
 */
const struct vmc_msg *vmc_outbox_first(const struct vmc_outbox *outbox)
{
	if (outbox->prod == outbox->cons)
		return NULL;
	return (const struct vmc_msg *)
		outbox->slots[outbox->cons & (VMC_OUTBOX_MESSAGES - 1)];
}

/**
 * vmc_outbox_drop_first - the oldest message was sent
 * @outbox: not empty
 */
void vmc_outbox_drop_first(struct vmc_outbox *outbox)
{
	outbox->cons++;
}

/**
 * vmc_outbox_clear - forget all messages
 * @outbox: the queue
 */
void vmc_outbox_clear(struct vmc_outbox *outbox)
{
	outbox->cons = outbox->prod;
}

/**
 * vmc_outbox_fill - how many messages wait
 * @outbox: the queue
 */
uint32_t vmc_outbox_fill(const struct vmc_outbox *outbox)
{
	return outbox->prod - outbox->cons;
}

/**
 * vmc_outbox_is_crowded - whether it is half full
 * @outbox: the queue
 *
 * A guest with a crowded outbox is offered nothing more, and its requests
 * wait: so neither others nor its own haste can fill it.
 */
bool vmc_outbox_is_crowded(const struct vmc_outbox *outbox)
{
	return vmc_outbox_fill(outbox) >= VMC_OUTBOX_MESSAGES / 2;
}
