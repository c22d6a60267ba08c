/* SPDX-License-Identifier: MIT */
#ifndef VMC_LIB_BELL_H
#define VMC_LIB_BELL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/ring.h"

/* Our end of a link's doorbell. One thread at a time. */
struct vmc_bell {
	/* Fixed after creation. */
	struct vmc_segment_header *tx;		/* we write it */
	const struct vmc_segment_header *rx;	/* the peer writes it */

	/* The truth about what stands in @tx, and what was seen in @rx. */
	unsigned int nr_words;		/* of the bitmaps that are looked at */
	uint64_t pending[VMC_BELL_WORDS];
	uint64_t ack[VMC_BELL_WORDS];
	uint32_t kick_wanted;
	uint32_t kick_seen;		/* the peer's that was answered last */
};

void vmc_bell_init(struct vmc_bell *bell, void *tx_segment,
		   const void *rx_segment);
void vmc_bell_seat(struct vmc_bell *bell, uint32_t slot);
bool vmc_bell_ring(struct vmc_bell *bell, uint32_t slot);
void vmc_bell_hear(struct vmc_bell *bell,
		   void (*rung)(void *owner, uint32_t slot), void *owner);

#endif /* VMC_LIB_BELL_H */
