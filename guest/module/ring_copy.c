// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies between rings and what the caller of a socket call gave. Moves no
 * index. The content of a ring is never interpreted, so it may change at will.
 */
#include <linux/uio.h>
#include "circuit.h"
#include "compat.h"
#include "ring_copy.h"
#include "stats.h"

/**
 * vmc_ring_copy_in - put data behind the producer index
 * @circuit: socket locked
 * @bytes: at most what vmc_circuit_writable() said
 * @from: advanced by what was copied
 *
 * Return: bytes copied; fewer than @bytes when @from faults.
 */
u32 vmc_ring_copy_in(struct vmc_circuit *circuit, u32 bytes,
		     struct iov_iter *from)
{
	u32 done = 0;

	vmc_assert(bytes <= circuit->tx_bytes);
	while (done < bytes) {
		u32 at = circuit->prod + done;
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
 * @circuit: socket locked
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
