/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_EVENT_H
#define VMC_EVENT_H

struct virtqueue;
struct vmc_device_user;

void vmc_event_init(const struct vmc_device_user *user);
int vmc_event_open(struct virtqueue *vq);
void vmc_event_post_all(struct virtqueue *vq);
void vmc_event_shut(void);
void vmc_event_free(void);
void vmc_event_look(void);
void vmc_event_mute(void);
void vmc_event_unmute(void);
void vmc_event_take_now(void);

#endif /* VMC_EVENT_H */
