// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who may talk to whom: VMs with each other by their networks, VMs with the
 * outside by rules. Owns the rules and counts what they decide. Called by
 * connect.c, the uplink and the control socket; config_policy.c makes the
 * rules.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "switch/address.h"
#include "switch/config.h"
#include "switch/policy.h"

/*
 * Nobody means these by "everywhere": an outbound rule allows them only with a
 * remote that lies within the block.
 */
static const struct {
	struct vmc_address block;
	enum vmc_policy_default number;
} protected_blocks[] = {
	{ { { 127 }, VMC_FAMILY_INET, 8, { 0 } }, VMC_DEFAULT_LOOPBACK },
	/* The kernel takes "this host" for the loopback. */
	{ { { 0 }, VMC_FAMILY_INET, 8, { 0 } }, VMC_DEFAULT_LOOPBACK },
	{ { { 0 }, VMC_FAMILY_INET6, 128, { 0 } }, VMC_DEFAULT_LOOPBACK },
	{ { { [15] = 1 }, VMC_FAMILY_INET6, 128, { 0 } },
	  VMC_DEFAULT_LOOPBACK },
	/* Clouds serve their machines' metadata there. */
	{ { { 169, 254 }, VMC_FAMILY_INET, 16, { 0 } },
	  VMC_DEFAULT_LINK_LOCAL },
	{ { { 0xfe, 0x80 }, VMC_FAMILY_INET6, 10, { 0 } },
	  VMC_DEFAULT_LINK_LOCAL },
	{ { { 224 }, VMC_FAMILY_INET, 4, { 0 } }, VMC_DEFAULT_MULTICAST },
	{ { { 255, 255, 255, 255 }, VMC_FAMILY_INET, 32, { 0 } },
	  VMC_DEFAULT_MULTICAST },
	{ { { 0xff }, VMC_FAMILY_INET6, 8, { 0 } }, VMC_DEFAULT_MULTICAST },
};

#define NR_BLOCKS (sizeof(protected_blocks) / sizeof(protected_blocks[0]))

static const struct {
	bool is_allowed;
	const char *text;
} defaults[VMC_NR_DEFAULTS] = {
	[VMC_DEFAULT_LOOPBACK] = {
		false, "default: the host's loopback is denied unless a rule names it" },
	[VMC_DEFAULT_LINK_LOCAL] = {
		false, "default: link-local addresses are denied unless a rule names them" },
	[VMC_DEFAULT_MULTICAST] = {
		false, "default: multicast addresses are denied unless a rule names them" },
	[VMC_DEFAULT_OUTBOUND] = {
		true, "default: outbound is allowed" },
	[VMC_DEFAULT_PUBLISHED] = {
		true, "default: published ports are open" },
	[VMC_DEFAULT_INBOUND] = {
		false, "default: inbound is denied" },
};

static const char *const protocols[] = {
	[VMC_PROTOCOL_TCP]	= "tcp",
	[VMC_PROTOCOL_UDP]	= "udp",
	[VMC_PROTOCOL_ICMP]	= "icmp",
};

#define NR_PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

static const struct vmc_carriage plain;

/* The block that protects an address, or NR_BLOCKS. */
static size_t find_block(const struct vmc_name *remote)
{
	size_t i;

	for (i = 0; i < NR_BLOCKS; i++) {
		if (vmc_address_covers(&protected_blocks[i].block, remote))
			break;
	}
	return i;
}

/* Whether a network lies within a block, or is all of it. */
static bool is_within(const struct vmc_address *network,
		      const struct vmc_address *block)
{
	struct vmc_name first = { .family = network->family };

	memcpy(first.address, network->address, sizeof(first.address));
	return network->prefix >= block->prefix &&
	       vmc_address_covers(block, &first);
}

static bool has_remote(const struct vmc_rule *rule,
		       const struct vmc_name *remote,
		       const struct vmc_address *block)
{
	unsigned int i;

	for (i = 0; i < rule->nr_remotes; i++) {
		if (vmc_address_covers(&rule->remotes[i], remote) &&
		    (!block || is_within(&rule->remotes[i], block)))
			return true;
	}
	return !rule->nr_remotes && !block;
}

static bool has_vm(const struct vmc_rule *rule, const struct vmc_config_vm *vm)
{
	unsigned int i;

	for (i = 0; i < rule->nr_vms; i++) {
		if (!strcmp(rule->vms[i], vm->name))
			return true;
	}
	return !rule->nr_vms;
}

static bool has_port(const struct vmc_rule *rule, enum vmc_protocol protocol,
		     uint16_t port)
{
	unsigned int i;

	/* What has no ports is none of a rule about some. */
	if (protocol == VMC_PROTOCOL_ICMP)
		return !rule->nr_ports;
	for (i = 0; i < rule->nr_ports; i++) {
		if (port >= rule->ports[i].first &&
		    port <= rule->ports[i].last)
			return true;
	}
	return !rule->nr_ports;
}

/* Whether all of a rule fits but the remote. */
static bool is_about(const struct vmc_rule *rule,
		     const struct vmc_config_vm *vm,
		     enum vmc_direction direction, enum vmc_protocol protocol,
		     uint16_t port)
{
	return rule->direction == direction &&
	       (rule->is_any_protocol || rule->protocol == protocol) &&
	       has_vm(rule, vm) && has_port(rule, protocol, port);
}

static enum vmc_policy_default
find_default(const struct vmc_policy_query *query, size_t block)
{
	if (query->direction == VMC_INBOUND)
		return query->is_published ? VMC_DEFAULT_PUBLISHED :
					     VMC_DEFAULT_INBOUND;
	return block < NR_BLOCKS ? protected_blocks[block].number :
				   VMC_DEFAULT_OUTBOUND;
}

/* What decides: the index of a rule, or the number of rules and a default. */
static unsigned int judge(const struct vmc_policy *policy,
			  const struct vmc_policy_query *query)
{
	bool is_out = query->direction == VMC_OUTBOUND;
	const struct vmc_address *named;
	struct vmc_name remote = query->remote;
	const struct vmc_rule *rule;
	size_t block = NR_BLOCKS;
	unsigned int i;
	uint16_t port;

	/* A mapped IPv4 address is IPv4 to rules and blocks. */
	vmc_name_check(&remote);
	port = is_out ? le16toh(remote.port) : query->vm_port;
	if (is_out)
		block = find_block(&remote);
	for (i = 0; i < policy->nr_rules; i++) {
		rule = &policy->rules[i];
		named = block < NR_BLOCKS && rule->is_allow ?
			&protected_blocks[block].block : NULL;
		if (is_about(rule, query->vm, query->direction,
			     query->protocol, port) &&
		    has_remote(rule, &remote, named))
			return i;
	}
	return policy->nr_rules + find_default(query, block);
}

static struct vmc_policy_verdict verdict_of(const struct vmc_policy *policy,
					    unsigned int decider)
{
	const struct vmc_rule *rule;

	if (decider < policy->nr_rules) {
		rule = &policy->rules[decider];
		return (struct vmc_policy_verdict){
			.is_allowed = rule->is_allow,
			.reason = rule->reason,
			.carriage = &rule->carriage,
			.rule = rule,
		};
	}
	decider -= policy->nr_rules;
	return (struct vmc_policy_verdict){
		.is_allowed = defaults[decider].is_allowed,
		.reason = defaults[decider].text,
		.carriage = &plain,
	};
}

/**
 * vmc_policy_decide - whether a connection to or from the outside may be
 * @policy: the policy; counts what decided
 * @query: the connection
 *
 * The first rule that fits decides, else a default: outbound is allowed but
 * for the host's loopback, link-local and multicast addresses; inbound is
 * closed but for what is published. An outbound rule that allows fits those
 * addresses only with a remote that lies within their block.
 *
 * Return: the verdict; what it points to lives as long as the policy.
 */
struct vmc_policy_verdict
vmc_policy_decide(const struct vmc_policy *policy,
		  const struct vmc_policy_query *query)
{
	unsigned int decider = judge(policy, query);

	policy->nr_decided[decider]++;
	return verdict_of(policy, decider);
}

/**
 * vmc_policy_look - as vmc_policy_decide(), just to know: nothing is counted
 * @policy: the policy
 * @query: the connection
 *
 * Return: as vmc_policy_decide().
 */
struct vmc_policy_verdict
vmc_policy_look(const struct vmc_policy *policy,
		const struct vmc_policy_query *query)
{
	return verdict_of(policy, judge(policy, query));
}

/**
 * vmc_policy_may_be_open - whether anybody could be let in to a port
 * @policy: the policy
 * @vm: the VM
 * @protocol: of what
 * @vm_port: its port
 *
 * Published ports are not asked about: they are open without a rule.
 *
 * Return: true if a rule may let somebody in.
 */
bool vmc_policy_may_be_open(const struct vmc_policy *policy,
			    const struct vmc_config_vm *vm,
			    enum vmc_protocol protocol, uint16_t vm_port)
{
	const struct vmc_rule *rule;
	unsigned int i;

	for (i = 0; i < policy->nr_rules; i++) {
		rule = &policy->rules[i];
		if (!is_about(rule, vm, VMC_INBOUND, protocol, vm_port))
			continue;
		if (rule->is_allow)
			return true;
		if (!rule->nr_remotes)
			return false;
	}
	return false;
}

/**
 * vmc_policy_named_ports - the ports of a VM that rules name and may open
 * @policy: the policy
 * @vm: the VM
 * @protocol: of what
 * @ports: filled in; one may be there twice
 * @max: room
 *
 * Return: how many.
 */
unsigned int vmc_policy_named_ports(const struct vmc_policy *policy,
				    const struct vmc_config_vm *vm,
				    enum vmc_protocol protocol,
				    uint16_t *ports, unsigned int max)
{
	const struct vmc_rule *rule;
	unsigned int i, k, nr = 0;
	uint32_t port;

	for (i = 0; i < policy->nr_rules; i++) {
		rule = &policy->rules[i];
		for (k = 0; rule->is_allow && k < rule->nr_ports; k++) {
			for (port = rule->ports[k].first;
			     port <= rule->ports[k].last && nr < max; port++) {
				if (is_about(rule, vm, VMC_INBOUND, protocol,
					     (uint16_t)port) &&
				    vmc_policy_may_be_open(policy, vm,
							   protocol,
							   (uint16_t)port))
					ports[nr++] = (uint16_t)port;
			}
		}
	}
	return nr;
}

/**
 * vmc_policy_default_text - what decides when no rule does, for people
 * @number: which
 *
 * Return: the reason of its verdicts.
 */
const char *vmc_policy_default_text(enum vmc_policy_default number)
{
	return defaults[number].text;
}

/**
 * vmc_policy_protocol_text - what a protocol is called
 * @protocol: which
 */
const char *vmc_policy_protocol_text(enum vmc_protocol protocol)
{
	return protocols[protocol];
}

/**
 * vmc_policy_protocol_find - the protocol of that name
 * @text: the name
 * @ret_protocol: the protocol
 *
 * Return: 0 or -ENOENT.
 */
int vmc_policy_protocol_find(const char *text, enum vmc_protocol *ret_protocol)
{
	size_t i;

	for (i = 0; i < NR_PROTOCOLS; i++) {
		if (strcmp(text, protocols[i]))
			continue;
		*ret_protocol = (enum vmc_protocol)i;
		return 0;
	}
	return -ENOENT;
}

/**
 * vmc_policy_create - make a policy
 * @nr_rules: how many rules it has, all zero
 * @ret_policy: the policy; freed with vmc_policy_free()
 *
 * Return: 0 or -ENOMEM.
 */
int vmc_policy_create(unsigned int nr_rules, struct vmc_policy **ret_policy)
{
	struct vmc_policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		return -ENOMEM;
	policy->nr_rules = nr_rules;
	policy->rules = calloc(nr_rules + 1, sizeof(*policy->rules));
	policy->nr_decided = calloc(nr_rules + VMC_NR_DEFAULTS,
				    sizeof(*policy->nr_decided));
	if (!policy->rules || !policy->nr_decided) {
		vmc_policy_free(policy);
		return -ENOMEM;
	}
	*ret_policy = policy;
	return 0;
}

/**
 * vmc_policy_free - free a policy
 * @policy: the policy, or NULL
 */
void vmc_policy_free(struct vmc_policy *policy)
{
	if (!policy)
		return;
	/* There may be passwords in it. */
	if (policy->rules)
		explicit_bzero(policy->rules, policy->nr_rules *
			       sizeof(*policy->rules));
	free(policy->rules);
	free(policy->nr_decided);
	free(policy);
}

/**
 * vmc_policy_replace - put another policy into force
 * @policy: the one that everybody points to
 * @other: takes its place, and gets what was there
 *
 * What a verdict points to is then @other's.
 */
void vmc_policy_replace(struct vmc_policy *policy, struct vmc_policy *other)
{
	struct vmc_policy old = *policy;

	*policy = *other;
	*other = old;
}

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
