/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Which bit of vmc_ctl.groups stands for a group. Several groups may share one:
 * the map says who may want a packet, and the VM's kernel who does. Normative
 * text: doc/protocol.md, "The hub".
 */
#ifndef VMC_PROTO_HUB_H
#define VMC_PROTO_HUB_H

#include <linux/types.h>
#include "limits.h"

/**
 * vmc_hub_group_bit - the bit of a group
 * @address: the group's, in network order
 * @address_bytes: 4 or 16
 *
 * Return: below VMC_GROUP_BITS.
 */
static inline __u32 vmc_hub_group_bit(const void *address,
				      unsigned int address_bytes)
{
	const __u8 *byte = (const __u8 *)address;
	__u32 hash = 0x811c9dc5;

	while (address_bytes--)
		hash = (hash ^ *byte++) * 0x01000193;
	return (hash ^ hash >> 16) % VMC_GROUP_BITS;
}

#endif /* VMC_PROTO_HUB_H */
