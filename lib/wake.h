/* SPDX-License-Identifier: MIT */
#ifndef VMC_LIB_WAKE_H
#define VMC_LIB_WAKE_H

#include <stdint.h>

#include "proto/ring.h"

void vmc_wake(struct vmc_wakeup *peer, int socket);
void vmc_wake_by(struct vmc_wakeup *own, uint32_t waits_by);
uint32_t vmc_wake_seen(const struct vmc_wakeup *own);
int vmc_wake_sleep(struct vmc_wakeup *own, uint32_t seen, int timeout_ms);

#endif /* VMC_LIB_WAKE_H */
