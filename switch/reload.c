// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads the configuration again while the switch serves, and puts its policy
 * into force. Owns nothing. Called by main.c on SIGHUP, and by
 * control_policy.c.
 *
 * Only rules and proxies change. Circuits that exist stay as they are.
 */
#include <stdio.h>
#include <string.h>

#include "switch/log.h"
#include "switch/reload.h"
#include "switch/uplink.h"

/* Of what clients of the control socket can provoke. */
static struct vmc_log_limit log_limit;

static bool vms_differ(const struct vmc_config_vm *a,
		       const struct vmc_config_vm *b)
{
	return strcmp(a->name, b->name) || strcmp(a->socket, b->socket) ||
	       strcmp(a->network, b->network) ||
	       a->nr_addresses != b->nr_addresses ||
	       memcmp(a->addresses, b->addresses, sizeof(a->addresses)) ||
	       a->source != b->source ||
	       a->limits.circuits != b->limits.circuits ||
	       a->limits.memory_bytes != b->limits.memory_bytes ||
	       a->limits.connects_per_second != b->limits.connects_per_second ||
	       a->is_endpoint != b->is_endpoint ||
	       a->access.max_processes != b->access.max_processes ||
	       strcmp(a->access.text ?: "", b->access.text ?: "");
}

static const char *kind_of(const struct vmc_config_vm *vm)
{
	return vm->is_endpoint ? "endpoint" : "vm";
}

static bool networks_differ(const struct vmc_config *a,
			    const struct vmc_config *b)
{
	unsigned int i;

	if (a->nr_networks != b->nr_networks)
		return true;
	for (i = 0; i < a->nr_networks; i++) {
		if (strcmp(a->networks[i].name, b->networks[i].name) ||
		    a->networks[i].is_isolated != b->networks[i].is_isolated)
			return true;
	}
	return false;
}

static bool uplinks_differ(const struct vmc_config_uplink *a,
			   const struct vmc_config_uplink *b)
{
	return a->is_enabled != b->is_enabled ||
	       a->nr_resolvers != b->nr_resolvers ||
	       memcmp(a->resolvers, b->resolvers, sizeof(a->resolvers)) ||
	       a->nr_host_addresses != b->nr_host_addresses ||
	       memcmp(a->host_addresses, b->host_addresses,
		      sizeof(a->host_addresses)) ||
	       a->zero_copy_bytes != b->zero_copy_bytes;
}

static bool publishes_differ(const struct vmc_config *a,
			     const struct vmc_config *b)
{
	unsigned int i;

	if (a->nr_publishes != b->nr_publishes)
		return true;
	for (i = 0; i < a->nr_publishes; i++) {
		if (strcmp(a->publishes[i].text, b->publishes[i].text))
			return true;
	}
	return false;
}

/* What is changed in the file but not in the switch. */
static void find_difference(const struct vmc_config *old,
			    const struct vmc_config *fresh, char *text,
			    size_t room)
{
	unsigned int nr_old = old->nr_vms + old->nr_endpoints;
	unsigned int nr_fresh = fresh->nr_vms + fresh->nr_endpoints;
	unsigned int i = 0;

	text[0] = '\0';
	while (i < nr_old && i < nr_fresh &&
	       !vms_differ(&old->vms[i], &fresh->vms[i]))
		i++;
	if (i < nr_fresh)
		snprintf(text, room, "%s \"%s\"", kind_of(&fresh->vms[i]),
			 fresh->vms[i].name);
	else if (i < nr_old)
		snprintf(text, room, "%s \"%s\"", kind_of(&old->vms[i]),
			 old->vms[i].name);
	else if (networks_differ(old, fresh))
		snprintf(text, room, "a network");
	else if (uplinks_differ(&old->uplink, &fresh->uplink))
		snprintf(text, room, "the uplink");
	else if (publishes_differ(old, fresh))
		snprintf(text, room, "a published port");
	else if (strcmp(old->control, fresh->control) ||
		 strcmp(old->log_level, fresh->log_level) ||
		 strcmp(old->user, fresh->user) ||
		 old->is_sandboxed != fresh->is_sandboxed ||
		 old->vm_sockets.mode != fresh->vm_sockets.mode)
		snprintf(text, room, "a key of the top level");
}

/**
 * vmc_reload - read the configuration again and replace the policy
 * @broker: the switch
 * @ret_text: on failure what is wrong; else what takes a restart, or ""
 *
 * The answer is logged, too. On failure everything stays as it was.
 *
 * Return: 0, or the error of vmc_config_read().
 */
int vmc_reload(struct vmc_broker *broker,
	       char ret_text[VMC_COMPLAINT_BYTES])
{
	const struct vmc_config *config = broker->table.config;
	char difference[64];
	struct vmc_config *fresh;
	int error;

	error = vmc_config_read(config->path, VMC_CONFIG_RELOAD, &fresh,
				ret_text);
	if (error) {
		vmc_log_limited(&log_limit, VMC_LOG_WARNING,
				"the policy stays as it was: %s", ret_text);
		return error;
	}
	find_difference(config, fresh, difference, sizeof(difference));
	ret_text[0] = '\0';
	if (*difference)
		snprintf(ret_text, VMC_COMPLAINT_BYTES,
			 "only rules and proxies are taken over; %s differs, and that takes a restart of the switch",
			 difference);
	vmc_policy_replace(config->policy, fresh->policy);
	vmc_config_free(fresh);
	if (broker->table.uplink)
		vmc_uplink_update(broker->table.uplink);
	vmc_log_limited(&log_limit, VMC_LOG_INFO,
			"the policy was read again: rules: %u%s%s",
			config->policy->nr_rules, *ret_text ? "; " : "",
			ret_text);
	return 0;
}
