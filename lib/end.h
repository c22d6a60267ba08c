/* SPDX-License-Identifier: MIT */
#ifndef VMC_LIB_END_H
#define VMC_LIB_END_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/ring.h"

/* One end of a circuit in user space. One thread at a time. */
struct vmc_end {
	/* Fixed after creation. */
	struct vmc_ctl *own;		/* our control page */
	const struct vmc_ctl *peer;	/* the peer's */
	uint8_t *tx;			/* the ring that we fill */
	const uint8_t *rx;		/* the ring that the peer fills */
	uint32_t tx_bytes;		/* sizes, powers of two */
	uint32_t rx_bytes;

	/* The truth about what stands in @own. */
	uint32_t prod;
	uint32_t cons;
	uint32_t flags;			/* VMC_CTL_ */
	uint32_t data_wait;
	uint32_t space_wait;

	/* The peer's that were answered with a bell last. */
	uint32_t peer_data_wait;
	uint32_t peer_space_wait;
	uint32_t peer_cons;		/* as it was seen last */

	bool is_lying;			/* the peer, once and for all */
};

void vmc_end_init(struct vmc_end *end, void *tx_segment,
		  const void *rx_segment, uint32_t slot,
		  uint64_t tx_offset, uint32_t tx_bytes,
		  uint64_t rx_offset, uint32_t rx_bytes);

void vmc_end_resume(struct vmc_end *end, struct vmc_ctl *own,
		    const struct vmc_ctl *peer, uint8_t *tx, uint32_t tx_bytes,
		    const uint8_t *rx, uint32_t rx_bytes);

uint32_t vmc_end_readable(struct vmc_end *end);
uint32_t vmc_end_writable(struct vmc_end *end);
uint32_t vmc_end_writable_for(struct vmc_end *end, uint32_t wish_bytes);
uint8_t *vmc_end_tx_span(struct vmc_end *end, uint32_t writable_bytes,
			 uint32_t *ret_bytes);
const uint8_t *vmc_end_rx_span(struct vmc_end *end, uint32_t readable_bytes,
			       uint32_t *ret_bytes);
bool vmc_end_produce(struct vmc_end *end, uint32_t bytes);
bool vmc_end_consume(struct vmc_end *end, uint32_t bytes);

void vmc_end_await_data(struct vmc_end *end);
void vmc_end_await_space(struct vmc_end *end);

bool vmc_end_set_flags(struct vmc_end *end, uint32_t flags);
uint32_t vmc_end_peer_flags(const struct vmc_end *end);

#endif /* VMC_LIB_END_H */
