/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_DEVICE_H
#define VMC_DEVICE_H

#include <linux/types.h>
#include "../../proto/wire.h"

struct workqueue_struct;

/**
 * struct vmc_device_user - whom the device calls
 * @message: an event other than KICK, in order, in process context; @bytes is
 *	     what the switch wrote, unchecked
 * @message_early: likewise in bottom halves, if no earlier event is still
 *		   unhandled; false: nothing was done, @message shall do it
 * @kick: a KICK came; bottom halves
 * @gone: the device goes away; nothing comes after it; worker, as @message
 */
struct vmc_device_user {
	void (*message)(const struct vmc_msg *msg, unsigned int bytes);
	bool (*message_early)(const struct vmc_msg *msg, unsigned int bytes);
	void (*kick)(u32 raw_link);
	void (*gone)(void);
};

int vmc_device_register(const struct vmc_device_user *user);
void vmc_device_unregister(void);
bool vmc_device_is_present(void);
void vmc_device_look(void);
void *vmc_device_map(u64 offset, u64 bytes);
phys_addr_t vmc_device_address(u64 offset);
struct workqueue_struct *vmc_device_worker(void);

#endif /* VMC_DEVICE_H */
