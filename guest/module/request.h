/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_REQUEST_H
#define VMC_REQUEST_H

#include <linux/types.h>

struct virtqueue;

int vmc_request_init(void);
void vmc_request_exit(void);
void vmc_request_open(struct virtqueue *vq);
struct virtqueue *vmc_request_shut(void);
void vmc_request_discard(struct virtqueue *vq);
void vmc_request_look(void);
int vmc_request_send(u32 attachment, u16 type, const void *body, gfp_t gfp);

#endif /* VMC_REQUEST_H */
