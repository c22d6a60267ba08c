/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_DISPATCH_H
#define VMC_DISPATCH_H

#include "device.h"

extern const struct vmc_device_user vmc_dispatch;

void vmc_dispatch_switch_lost(void);
void vmc_dispatch_switch_found(void);
void vmc_dispatch_links_released(void);

#endif /* VMC_DISPATCH_H */
