/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_ISOLATE_H
#define VMC_SWITCH_ISOLATE_H

#include "switch/config.h"

void vmc_isolate_raise_limits(void);
int vmc_isolate(const struct vmc_config *config);

#endif /* VMC_SWITCH_ISOLATE_H */
