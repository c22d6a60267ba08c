/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_DOORBELL_H
#define VMC_DOORBELL_H

#include <linux/types.h>

struct virtqueue;

int vmc_doorbell_open(struct virtqueue *vq);
void vmc_doorbell_shut(void);
void vmc_doorbell_free(void);
void vmc_doorbell_look(void);
void vmc_doorbell_send(u32 link);

#endif /* VMC_DOORBELL_H */
