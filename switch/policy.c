// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who may talk to whom. Owns nothing; the configuration is the policy.
 * Called by connect.c.
 */
#include <string.h>

#include "switch/policy.h"

/**
 * vmc_policy_allows - whether one VM may connect to another
 * @config: the configuration
 * @from: who dials
 * @to: who is dialled
 *
 * A VM reaches itself and the VMs of its network, unless the network is
 * isolated.
 */
bool vmc_policy_allows(const struct vmc_config *config,
		       const struct vmc_config_vm *from,
		       const struct vmc_config_vm *to)
{
	unsigned int i;

	if (from == to)
		return true;
	if (strcmp(from->network, to->network))
		return false;
	for (i = 0; i < config->nr_networks; i++) {
		if (!strcmp(config->networks[i].name, from->network))
			return !config->networks[i].is_isolated;
	}
	return true;
}
