// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who may talk to whom. Owns nothing; the configuration is the policy.
 * Called by connect.c.
 */
#include <string.h>

#include "switch/policy.h"
#include "switch/config.h"
#include "switch/socks5.h"

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
/*STUB*/
struct vmc_policy_verdict vmc_policy_decide(const struct vmc_policy *policy, const struct vmc_policy_query *query)
{ static const struct vmc_carriage none; (void)policy; (void)query; return (struct vmc_policy_verdict){ true, "stub", &none }; }
bool vmc_policy_may_be_open(const struct vmc_policy *policy, const struct vmc_config_vm *vm, uint16_t vm_port) { (void)policy;(void)vm;(void)vm_port; return true; }
