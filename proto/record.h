/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A datagram in a ring: a header, the bytes, and padding up to the next
 * multiple of VMC_RECORD_ALIGN. Records are published whole, so whoever sees a
 * producer index sees whole records before it; and as rings are a multiple of
 * the alignment, a header is never in two pieces. Normative text:
 * doc/protocol.md.
 */
#ifndef VMC_PROTO_RECORD_H
#define VMC_PROTO_RECORD_H

#include <linux/types.h>
#include "limits.h"
#include "wire.h"

#define VMC_RECORD_ALIGN		8U

/* The network shall not cut it in pieces, but lose it. */
#define VMC_RECORD_WHOLE		(1U << 0)

/* What stands before each datagram. Writer: the producer. */
struct vmc_record {
	__le32	bytes;		/* of the datagram */
	__u8	traffic_class;	/* TOS or traffic class, ECN included */
	__u8	hop_limit;	/* TTL or hop limit, 0: the default */
	__u8	flags;		/* VMC_RECORD_ */
	__u8	pad;
};
VMC_OFFSET_IS(struct vmc_record, traffic_class, 4);
VMC_SIZE_IS(struct vmc_record, VMC_RECORD_ALIGN);

/**
 * vmc_record_span - what a datagram takes in a ring
 * @bytes: of the datagram, at most VMC_PACKET_MAX_BYTES
 *
 * Return: bytes, with header and padding.
 */
static inline __u32 vmc_record_span(__u32 bytes)
{
	return (__u32)sizeof(struct vmc_record) +
	       ((bytes + VMC_RECORD_ALIGN - 1) & ~(VMC_RECORD_ALIGN - 1));
}

/**
 * vmc_record_check_for - believe a record's header, or do not
 * @raw_bytes: what the header says, in host order, read once
 * @max_bytes: what it may say
 * @fill: bytes from the record's start to the producer index, checked
 *
 * Return: the record's span, or 0 when it is a lie.
 */
static inline __u32 vmc_record_check_for(__u32 raw_bytes, __u32 max_bytes,
					 __u32 fill)
{
	__u32 span;

	if (raw_bytes > max_bytes)
		return 0;
	span = vmc_record_span(raw_bytes);
	return span <= fill ? span : 0;
}

/**
 * vmc_record_check - the same for a datagram
 * @raw_bytes: likewise
 * @fill: likewise
 *
 * Return: likewise.
 */
static inline __u32 vmc_record_check(__u32 raw_bytes, __u32 fill)
{
	return vmc_record_check_for(raw_bytes, VMC_DATAGRAM_MAX_BYTES, fill);
}

#endif /* VMC_PROTO_RECORD_H */
