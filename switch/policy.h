/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_POLICY_H
#define VMC_SWITCH_POLICY_H

#include "switch/config.h"

bool vmc_policy_allows(const struct vmc_config *config,
		       const struct vmc_config_vm *from,
		       const struct vmc_config_vm *to);

#endif /* VMC_SWITCH_POLICY_H */
