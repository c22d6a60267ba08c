// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What would become of a connection between a VM and somebody else, and who
 * decides that, for people who ask. It follows connect.c, uplink.c and
 * inbound.c, counts nothing, and makes nothing. Owns nothing. Called by
 * control_policy.c.
 */
#include <endian.h>
#include <string.h>

#include "switch/address.h"
#include "switch/explain.h"
#include "switch/uplink.h"

static const struct vmc_carriage none;

static struct vmc_policy_verdict without_rule(bool is_allowed,
					      const char *reason)
{
	return (struct vmc_policy_verdict){
		.is_allowed = is_allowed,
		.reason = reason,
		.carriage = &none,
	};
}

/*
 * A loopback address stands for the host's here: a guest reaches it by another
 * name, and its own without the switch.
 */
static void explain_outbound(const struct vmc_vm_table *table,
			     const struct vmc_policy_query *query,
			     struct vmc_explanation *ret)
{
	const struct vmc_config *config = table->config;
	const struct vmc_config_vm *owner =
		vmc_config_find_owner(config, &query->remote);
	struct vmc_policy_query asked = *query;

	if (owner) {
		ret->verdict = vmc_policy_allows(config, query->vm, owner) ?
			without_rule(true, "a VM has this address, and their network lets them talk") :
			without_rule(false, "a VM has this address, and their networks keep them apart");
		return;
	}
	if (!table->uplink) {
		ret->verdict = without_rule(false, "there is no uplink; the configuration has no section uplink");
		return;
	}
	if (!vmc_name_is_loopback(&query->remote) &&
	    vmc_uplink_target(&config->uplink, query->vm, &query->remote,
			      &asked.remote)) {
		ret->verdict = without_rule(false, "the address is of the VM's own network, and no VM has it");
		return;
	}
	ret->target = asked.remote;
	ret->verdict = vmc_policy_look(config->policy, &asked);
	if (ret->verdict.is_allowed &&
	    vmc_uplink_is_in_the_way(&asked, &ret->verdict))
		ret->verdict = without_rule(false, "the rule that allows it names a proxy, which carries no datagrams; write a rule for udp before it");
}

static void explain_inbound(const struct vmc_vm_table *table,
			    const struct vmc_policy_query *query,
			    struct vmc_explanation *ret)
{
	const struct vmc_config *config = table->config;
	const struct vmc_config_publish *publish;
	struct vmc_policy_query asked = *query;
	unsigned int i;

	for (i = 0; i < config->nr_publishes && !ret->published; i++) {
		publish = &config->publishes[i];
		if (&config->vms[publish->vm] == query->vm &&
		    publish->protocol == query->protocol &&
		    publish->guest.family == query->remote.family &&
		    publish->guest.port == htole16(query->vm_port))
			ret->published = publish->text;
	}
	asked.is_published = ret->published;
	if (!table->uplink)
		ret->verdict = without_rule(false, "there is no uplink; the configuration has no section uplink");
	else if (!ret->published && query->vm->source != VMC_SOURCE_ROUTED)
		ret->verdict = without_rule(false, "no publish line leads to this port, and the VM is not routed");
	else
		ret->verdict = vmc_policy_look(config->policy, &asked);
}

/**
 * vmc_explain - what would become of a connection
 * @table: the VMs
 * @query: the connection; its is_published is found out here
 *
 * A port that is published is explained as it is reached there.
 *
 * Return: the answer; it lives as long as the policy.
 */
struct vmc_explanation vmc_explain(const struct vmc_vm_table *table,
				   const struct vmc_policy_query *query)
{
	struct vmc_explanation explanation = { .target = query->remote };

	if (query->direction == VMC_OUTBOUND)
		explain_outbound(table, query, &explanation);
	else
		explain_inbound(table, query, &explanation);
	return explanation;
}
