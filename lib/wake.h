/* SPDX-License-Identifier: MIT */
#ifndef VMC_LIB_WAKE_H
#define VMC_LIB_WAKE_H

#include <stdint.h>

#include "proto/ring.h"

void vmc_wake(struct vmc_ctl *own, const struct vmc_ctl *peer, int socket);
uint32_t vmc_wake_seen(const struct vmc_ctl *peer);
int vmc_wake_sleep(const struct vmc_ctl *peer, uint32_t seen, int timeout_ms);

#endif /* VMC_LIB_WAKE_H */
