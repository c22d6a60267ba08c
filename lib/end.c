// SPDX-License-Identifier: MIT
/*
 * One end of a circuit in user space: its two rings and control pages. Owns
 * the private indexes; checks what the peer says; knows when a bell is due.
 * Does not own the mappings, copies no data, and rings no bell itself: where a
 * function returns true, the caller does (bell.h). Called by whoever moves a
 * circuit's bytes: switch/relay.c.
 *
 * The kernel's twin is guest/module/circuit.c. Barriers are lettered as in
 * proto/ring.h. No function sleeps; all want the end for themselves.
 */
#include <string.h>

#include "lib/end.h"
#include "lib/shared.h"

/**
 * vmc_end_init - take an end of a fresh circuit
 * @end: overwritten
 * @tx_segment: the segment that we write, from its start
 * @rx_segment: the segment that the peer writes, from its start
 * @slot: the circuit's, below VMC_SLOTS_PER_LINK
 * @tx_offset: of the ring in @tx_segment, bytes
 * @tx_bytes: its size
 * @rx_offset: of the ring in @rx_segment, bytes
 * @rx_bytes: its size
 *
 * Trusts its parameters: places from elsewhere were checked, with
 * vmc_ring_fits(). Both control pages are clear and the peer does not know of
 * the slot yet. The mappings stay the caller's and outlive @end.
 */
void vmc_end_init(struct vmc_end *end, void *tx_segment,
		  const void *rx_segment, uint32_t slot,
		  uint64_t tx_offset, uint32_t tx_bytes,
		  uint64_t rx_offset, uint32_t rx_bytes)
{
	uint64_t ctl_offset = VMC_CTL_OFFSET +
			      (uint64_t)slot * sizeof(struct vmc_ctl);
	const uint8_t *rx = rx_segment;
	uint8_t *tx = tx_segment;

	memset(end, 0, sizeof(*end));
	end->own = (struct vmc_ctl *)(tx + ctl_offset);
	end->peer = (const struct vmc_ctl *)(rx + ctl_offset);
	end->tx = tx + tx_offset;
	end->rx = rx + rx_offset;
	end->tx_bytes = tx_bytes;
	end->rx_bytes = rx_bytes;
}

/**
 * vmc_end_resume - take an end over from whoever had it
 * @end: overwritten
 * @own: our control page, with the indexes where the last owner left them
 * @peer: the peer's control page
 * @tx: the ring that we fill
 * @tx_bytes: its size, a power of two
 * @rx: the ring that the peer fills
 * @rx_bytes: its size, a power of two
 *
 * Nobody else moves the indexes from here on. Waits that the last owner has
 * answered are answered once more, which does no harm.
 */
void vmc_end_resume(struct vmc_end *end, struct vmc_ctl *own,
		    const struct vmc_ctl *peer, uint8_t *tx, uint32_t tx_bytes,
		    const uint8_t *rx, uint32_t rx_bytes)
{
	memset(end, 0, sizeof(*end));
	end->own = own;
	end->peer = peer;
	end->tx = tx;
	end->rx = rx;
	end->tx_bytes = tx_bytes;
	end->rx_bytes = rx_bytes;
	end->prod = vmc_shared_load32(&own->prod);
	end->cons = vmc_shared_load32(&own->cons);
	end->flags = vmc_shared_load32(&own->flags);
	/* Until the peer was looked at, the ring counts as full. */
	end->peer_cons = end->prod - tx_bytes;
}

/**
 * vmc_end_readable - bytes that wait to be received
 * @end: the end
 *
 * Return: at most the ring's size. A lie is remembered in is_lying, which the
 * caller looks at, and counts as nothing.
 */
uint32_t vmc_end_readable(struct vmc_end *end)
{
	uint32_t raw_prod, fill;

	/* A', pairs with A: the data of all that is counted is there. */
	raw_prod = vmc_shared_load32(&end->peer->prod);
	fill = vmc_ring_fill(raw_prod, end->cons);
	if (fill > end->rx_bytes) {
		end->is_lying = true;
		return 0;
	}
	return fill;
}

/**
 * vmc_end_writable - bytes that may be sent now
 * @end: the end
 *
 * Return: at most the ring's size; a lie is treated as in vmc_end_readable().
 */
uint32_t vmc_end_writable(struct vmc_end *end)
{
	uint32_t raw_cons, fill;

	/* C', pairs with C: the peer has read what we overwrite. */
	raw_cons = vmc_shared_load32(&end->peer->cons);
	fill = vmc_ring_fill(end->prod, raw_cons);
	if (fill > end->tx_bytes) {
		end->is_lying = true;
		return 0;
	}
	end->peer_cons = raw_cons;
	return end->tx_bytes - fill;
}

/**
 * vmc_end_writable_for - bytes that may be sent now, if no more are wanted
 * @end: the end
 * @wish_bytes: how many one would like to send
 *
 * While what was seen last suffices the peer's index is not looked at, which
 * is in the peer's cache.
 *
 * Return: as vmc_end_writable(), but it may be less if it is @wish_bytes or
 * more.
 */
uint32_t vmc_end_writable_for(struct vmc_end *end, uint32_t wish_bytes)
{
	uint32_t room = end->tx_bytes -
			vmc_ring_fill(end->prod, end->peer_cons);

	return room >= wish_bytes ? room : vmc_end_writable(end);
}

/**
 * vmc_end_tx_span - where to write, as for recv()
 * @end: the end
 * @writable_bytes: what vmc_end_writable() said, or less
 * @ret_bytes: how much of that lies in one piece; 0 only if it is 0
 *
 * Return: the place in the ring. It stays the same until vmc_end_produce().
 */
uint8_t *vmc_end_tx_span(struct vmc_end *end, uint32_t writable_bytes,
			 uint32_t *ret_bytes)
{
	*ret_bytes = vmc_ring_span(end->prod, end->tx_bytes, writable_bytes);
	return end->tx + (end->prod & (end->tx_bytes - 1));
}

/**
 * vmc_end_rx_span - what to read, as for send()
 * @end: the end
 * @readable_bytes: what vmc_end_readable() said, or less
 * @ret_bytes: how much of that lies in one piece; 0 only if it is 0
 *
 * Return: the place in the ring. It stays the same until vmc_end_consume(),
 * but a hostile peer may change the bytes at any time.
 */
const uint8_t *vmc_end_rx_span(struct vmc_end *end, uint32_t readable_bytes,
			       uint32_t *ret_bytes)
{
	*ret_bytes = vmc_ring_span(end->cons, end->rx_bytes, readable_bytes);
	return end->rx + (end->cons & (end->rx_bytes - 1));
}

/**
 * vmc_end_produce - data was written, let the peer have it
 * @end: the end
 * @bytes: at most what vmc_end_writable() said
 *
 * Return: true when the caller is to ring.
 */
bool vmc_end_produce(struct vmc_end *end, uint32_t bytes)
{
	uint32_t raw_wait;

	end->prod += bytes;
	/* A, pairs with A': the data before the index. */
	vmc_shared_store32(&end->own->prod, end->prod);
	/* B, pairs with B': the peer sees the data, or we that it waits. */
	vmc_shared_barrier();
	raw_wait = vmc_shared_load32(&end->peer->data_wait);
	if (raw_wait == end->peer_data_wait)
		return false;
	end->peer_data_wait = raw_wait;
	return true;
}

/**
 * vmc_end_consume - data was read, the peer may reuse its place
 * @end: the end
 * @bytes: at most what vmc_end_readable() said
 *
 * A request for space is kept in mind until the ring is roomy.
 *
 * Return: true when the caller is to ring.
 */
bool vmc_end_consume(struct vmc_end *end, uint32_t bytes)
{
	uint32_t raw_wait, fill;

	end->cons += bytes;
	/* C, pairs with C': our last look at the data before the index. */
	vmc_shared_store32(&end->own->cons, end->cons);
	/* D, pairs with D': the peer sees the space, or we that it waits. */
	vmc_shared_barrier();
	raw_wait = vmc_shared_load32(&end->peer->space_wait);
	if (raw_wait == end->peer_space_wait)
		return false;
	fill = vmc_end_readable(end);
	if (!vmc_ring_is_roomy(end->rx_bytes - fill, end->rx_bytes))
		return false;
	end->peer_space_wait = raw_wait;
	return true;
}

/**
 * vmc_end_await_data - ask for a bell when data comes
 * @end: the end; look at vmc_end_readable() again before you wait
 *
 * One bell answers one request.
 */
void vmc_end_await_data(struct vmc_end *end)
{
	vmc_shared_store32(&end->own->data_wait, ++end->data_wait);
	vmc_shared_barrier(); /* B', pairs with B */
}

/**
 * vmc_end_await_space - ask for a bell when there is room
 * @end: the end; look at vmc_end_writable() again before you wait
 *
 * One bell answers one request.
 */
void vmc_end_await_space(struct vmc_end *end)
{
	vmc_shared_store32(&end->own->space_wait, ++end->space_wait);
	vmc_shared_barrier(); /* D', pairs with D */
}

/**
 * vmc_end_set_flags - say FIN, RST or GONE
 * @end: the end; produces no more after FIN or RST
 * @flags: VMC_CTL_, added to those said before
 *
 * Return: true when that is new, and the caller is to ring.
 */
bool vmc_end_set_flags(struct vmc_end *end, uint32_t flags)
{
	if ((end->flags | flags) == end->flags)
		return false;
	end->flags |= flags;
	/* Release, after the last store to prod: FIN means that it is final. */
	vmc_shared_store32(&end->own->flags, end->flags);
	return true;
}

/**
 * vmc_end_peer_flags - what the peer said of itself
 * @end: the end
 *
 * Acquires: to be read before the indexes. Who sees FIN here, and then
 * nothing in vmc_end_readable(), has had everything.
 *
 * Return: VMC_CTL_ flags; unknown bits may be set.
 */
uint32_t vmc_end_peer_flags(const struct vmc_end *end)
{
	return vmc_shared_load32(&end->peer->flags);
}
