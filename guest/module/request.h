/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_REQUEST_H
#define VMC_REQUEST_H

#include <linux/types.h>

struct virtqueue;
struct vmc_request;

int vmc_request_init(void);
void vmc_request_exit(void);
void vmc_request_open(struct virtqueue *vq);
struct virtqueue *vmc_request_shut(void);
void vmc_request_discard(struct virtqueue *vq);
void vmc_request_look(void);
struct vmc_request *vmc_request_alloc(gfp_t gfp);
void vmc_request_free(struct vmc_request *request);
int vmc_request_submit(struct vmc_request *request, u32 attachment, u16 type,
		       const void *body, bool is_urgent);
int vmc_request_send(u32 attachment, u16 type, const void *body, gfp_t gfp);

#endif /* VMC_REQUEST_H */
