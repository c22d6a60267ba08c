/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_OUTBOX_H
#define VMC_SWITCH_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

/* Power of two. */
#define VMC_OUTBOX_MESSAGES	16384
#define VMC_OUTBOX_SLOT_BYTES	224
_Static_assert(sizeof(struct vmc_welcome) + 8 <= VMC_OUTBOX_SLOT_BYTES,
	       "the longest event does not fit");

/* Events on their way to one guest, in order. */
struct vmc_outbox {
	uint32_t prod;
	uint32_t cons;
	uint8_t (*slots)[VMC_OUTBOX_SLOT_BYTES];
};

int vmc_outbox_init(struct vmc_outbox *outbox);
void vmc_outbox_free(struct vmc_outbox *outbox);
int vmc_outbox_put(struct vmc_outbox *outbox, unsigned int type,
		   const void *body);
const struct vmc_msg *vmc_outbox_first(const struct vmc_outbox *outbox);
void vmc_outbox_drop_first(struct vmc_outbox *outbox);
uint32_t vmc_outbox_fill(const struct vmc_outbox *outbox);
void vmc_outbox_clear(struct vmc_outbox *outbox);
bool vmc_outbox_is_crowded(const struct vmc_outbox *outbox);

#endif /* VMC_SWITCH_OUTBOX_H */
