// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies between rings and what the caller of a socket call gave. Moves no
 * index. The content of a ring is never interpreted, so it may change at will.
 */
#include <linux/skbuff.h>
#include <linux/uio.h>
#include "../../proto/record.h"
#include "circuit.h"
#include "compat.h"
#include "ring_copy.h"
#include "stats.h"

/* So much of a packet is in one piece. */
#define LINEAR_BYTES	2048U

/**
 * vmc_ring_copy_in - put data behind the producer index
 * @circuit: locked
 * @skip: bytes to leave out
 * @bytes: with @skip at most what vmc_circuit_writable() said
 * @from: advanced by what was copied
 *
 * Return: bytes copied; fewer than @bytes when @from faults.
 */
u32 vmc_ring_copy_in(struct vmc_circuit *circuit, u32 skip, u32 bytes,
		     struct iov_iter *from)
{
	u32 done = 0;

	vmc_assert(skip + bytes <= circuit->tx_bytes);
	while (done < bytes) {
		u32 at = circuit->prod + skip + done;
		u32 span = vmc_ring_span(at, circuit->tx_bytes, bytes - done);
		u32 n = copy_from_iter(circuit->tx +
				       (at & (circuit->tx_bytes - 1)),
				       span, from);

		done += n;
		if (n < span)
			break;
	}
	circuit->copied_in += done;
	vmc_stat_add(bytes_sent, done);
	return done;
}

/**
 * vmc_ring_copy_out - take data from the consumer index on
 * @circuit: locked
 * @skip: bytes to leave out
 * @bytes: with @skip at most what vmc_circuit_readable() said
 * @to: advanced by what was copied
 *
 * Return: bytes copied; fewer than @bytes when @to faults.
 */
u32 vmc_ring_copy_out(struct vmc_circuit *circuit, u32 skip, u32 bytes,
		      struct iov_iter *to)
{
	u32 done = 0;

	vmc_assert(skip + bytes <= circuit->rx_bytes);
	while (done < bytes) {
		u32 at = circuit->cons + skip + done;
		u32 span = vmc_ring_span(at, circuit->rx_bytes, bytes - done);
		u32 n = copy_to_iter(circuit->rx +
				     (at & (circuit->rx_bytes - 1)),
				     span, to);

		done += n;
		if (n < span)
			break;
	}
	circuit->copied_out += done;
	vmc_stat_add(bytes_received, done);
	return done;
}

/* An iterator over a piece of a ring, which may be in two parts. */
static void ring_iter(u8 *ring, u32 ring_bytes, u32 at, u32 bytes,
		      unsigned int direction, struct kvec parts[2],
		      struct iov_iter *ret_iter)
{
	u32 span = vmc_ring_span(at, ring_bytes, bytes);

	vmc_assert(bytes <= ring_bytes);
	parts[0].iov_base = ring + (at & (ring_bytes - 1));
	parts[0].iov_len = span;
	parts[1].iov_base = ring;
	parts[1].iov_len = bytes - span;
	iov_iter_kvec(ret_iter, direction, parts, 2, bytes);
}

/**
 * vmc_ring_copy_from_packet - put a part of a packet behind the producer index
 * @circuit: locked
 * @skip: bytes to leave out in the ring
 * @skb: the packet
 * @at: where the part begins in it
 * @bytes: of it, in the packet; with @skip at most what
 *	   vmc_circuit_writable() said
 */
void vmc_ring_copy_from_packet(struct vmc_circuit *circuit, u32 skip,
			       struct sk_buff *skb, u32 at, u32 bytes)
{
	struct kvec parts[2];
	struct iov_iter iter;

	ring_iter(circuit->tx, circuit->tx_bytes, circuit->prod + skip, bytes,
		  ITER_DEST, parts, &iter);
	skb_copy_datagram_iter(skb, at, &iter, bytes);
	vmc_stat_add(bytes_sent, bytes);
}

/**
 * vmc_ring_copy_to_packet - take a packet's data from the consumer index on
 * @circuit: locked
 * @skip: bytes to leave out in the ring
 * @skb: the packet, with room for them
 * @at: where in it
 * @bytes: with @skip at most what vmc_circuit_readable() said
 */
void vmc_ring_copy_to_packet(const struct vmc_circuit *circuit, u32 skip,
			     struct sk_buff *skb, u32 at, u32 bytes)
{
	struct kvec parts[2];
	struct iov_iter iter;

	ring_iter((u8 *)circuit->rx, circuit->rx_bytes, circuit->cons + skip,
		  bytes, ITER_SOURCE, parts, &iter);
	skb_copy_datagram_from_iter(skb, at, &iter, bytes);
	vmc_stat_add(bytes_received, bytes);
}

/**
 * vmc_ring_to_packet - a new packet with what is in the ring
 * @circuit: locked
 * @skip: bytes to leave out in the ring
 * @head_bytes: room before the data, the caller's to fill in
 * @bytes: of data; with @skip at most what vmc_circuit_readable() said
 *
 * The head and the first LINEAR_BYTES of data are in one piece.
 *
 * Return: the packet, or NULL without memory.
 */
struct sk_buff *vmc_ring_to_packet(const struct vmc_circuit *circuit, u32 skip,
				   u32 head_bytes, u32 bytes)
{
	u32 linear = min(bytes, LINEAR_BYTES);
	struct sk_buff *skb;
	int err;

	skb = alloc_skb_with_frags(head_bytes + linear, bytes - linear,
				   PAGE_ALLOC_COSTLY_ORDER, &err, GFP_ATOMIC);
	if (!skb)
		return NULL;
	skb_put(skb, head_bytes + linear);
	skb->data_len = bytes - linear;
	skb->len += skb->data_len;
	vmc_ring_copy_to_packet(circuit, skip, skb, head_bytes, bytes);
	return skb;
}

/**
 * vmc_ring_put_record - put a record's header behind the producer index
 * @circuit: locked, of records
 * @skip: bytes to leave out, whole records
 * @bytes: of the record
 * @record: the rest of the header
 */
void vmc_ring_put_record(struct vmc_circuit *circuit, u32 skip, u32 bytes,
			 struct vmc_record record)
{
	u32 at = (circuit->prod + skip) & (circuit->tx_bytes - 1);
	u64 raw;

	vmc_assert(!(at % VMC_RECORD_ALIGN));
	record.bytes = cpu_to_le32(bytes);
	memcpy(&raw, &record, sizeof(raw));
	WRITE_ONCE(*(u64 *)(circuit->tx + at), raw);
}

/**
 * vmc_ring_record - a datagram's header, read once
 * @ring: a ring of datagrams
 * @ring_bytes: its size
 * @at: index of a record, from a checked one on
 *
 * Return: the header, unchecked.
 */
struct vmc_record vmc_ring_record(const u8 *ring, u32 ring_bytes, u32 at)
{
	const u64 *raw_record = (const void *)(ring + (at & (ring_bytes - 1)));
	u64 raw = READ_ONCE(*raw_record);
	struct vmc_record record;

	memcpy(&record, &raw, sizeof(record));
	return record;
}
