// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The policy of the configuration: makes struct vmc_policy of the rules that
 * were read, and checks what they say of the rest of the file and of the host.
 * Called by config.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "switch/config_part.h"
#include "switch/transport.h"
#include "switch/value.h"

/* What a rule is made from. */
struct source {
	cfg_t *cfg;
	cfg_t *section;
	const struct vmc_config *config;
	enum vmc_config_purpose purpose;
};

static const struct vmc_config_word *
word_at(const struct source *source, const char *key, unsigned int i)
{
	return cfg_getnptr(source->section, key, i);
}

/* How many items a list has; 0 if it means all. */
static unsigned int count(const struct source *source, const char *key)
{
	unsigned int nr = cfg_size(source->section, key);

	if (nr == 1 && !strcmp(word_at(source, key, 0)->text, VMC_CONFIG_ALL))
		return 0;
	return nr;
}

static int copy_vms(const struct source *source, struct vmc_rule *rule)
{
	const struct vmc_config_word *word;
	unsigned int i, index;

	rule->nr_vms = count(source, "vm");
	for (i = 0; i < rule->nr_vms; i++) {
		word = word_at(source, "vm", i);
		if (vmc_config_find_vm(source->config, word->text, &index)) {
			vmc_config_complain_at(source->cfg, word->line,
					       "vm: there is no vm \"%s\"",
					       word->text);
			return -EINVAL;
		}
		strcpy(rule->vms[i], word->text);
	}
	return 0;
}

static void copy_lists(const struct source *source, struct vmc_rule *rule)
{
	unsigned int i;

	rule->nr_remotes = count(source, "remote");
	for (i = 0; i < rule->nr_remotes; i++)
		vmc_value_network(word_at(source, "remote", i)->text,
				  &rule->remotes[i]);
	rule->nr_ports = count(source, "ports");
	for (i = 0; i < rule->nr_ports; i++)
		vmc_value_ports(word_at(source, "ports", i)->text,
				&rule->ports[i]);
}

static int copy_congestion(const struct source *source, char *congestion)
{
	const struct vmc_config_word *word =
		vmc_config_word(source->section, "congestion");
	int error = -ENOENT;

	if (!word)
		return 0;
	if (*word->text && strlen(word->text) < VMC_CONGESTION_BYTES)
		error = vmc_transport_check_congestion(word->text,
				source->purpose == VMC_CONFIG_START);
	if (!error) {
		strcpy(congestion, word->text);
		return 0;
	}
	if (error == -ENOENT)
		vmc_config_complain_at(source->cfg, word->line,
				       "congestion: this host has no \"%s\"; net.ipv4.tcp_available_congestion_control lists what it has, perhaps a module is to be loaded",
				       word->text);
	else if (error == -EPERM)
		vmc_config_complain_at(source->cfg, word->line,
				       "congestion: the switch, without privileges, may not use \"%s\"; add it to net.ipv4.tcp_allowed_congestion_control",
				       word->text);
	else
		vmc_config_complain_at(source->cfg, word->line,
				       "congestion: \"%s\" cannot be tried: %s",
				       word->text, strerror(-error));
	return -EINVAL;
}

static int copy_carriage(const struct source *source, struct vmc_rule *rule)
{
	const struct vmc_config_word *proxy =
		vmc_config_word(source->section, "proxy");
	struct vmc_carriage *carriage = &rule->carriage;

	carriage->is_mptcp = !strcmp(vmc_config_text(source->section,
						     "transport"), "mptcp");
	if (copy_congestion(source, carriage->congestion))
		return -EINVAL;
	if (!proxy)
		return 0;
	if (vmc_config_copy_proxy(source->cfg, proxy->text,
				  &carriage->proxy)) {
		vmc_config_complain_at(source->cfg, proxy->line,
				       "proxy: there is no proxy \"%s\"",
				       proxy->text);
		return -EINVAL;
	}
	carriage->has_proxy = true;
	strcpy(rule->proxy, proxy->text);
	return 0;
}

static int copy_rule(const struct source *source, struct vmc_rule *rule)
{
	const char *path = source->cfg->filename;
	const char *slash = strrchr(path, '/');
	cfg_t *section = source->section;
	const char *protocol = vmc_config_text(section, "protocol");

	strcpy(rule->name, cfg_title(section));
	rule->line = (int)cfg_getint(section, VMC_CONFIG_LINE_KEY);
	snprintf(rule->reason, sizeof(rule->reason), "rule \"%s\" (%s:%d)",
		 rule->name, slash ? slash + 1 : path, rule->line);
	rule->is_allow = !strcmp(vmc_config_text(section, "action"), "allow");
	rule->direction = strcmp(vmc_config_text(section, "direction"), "in") ?
			  VMC_OUTBOUND : VMC_INBOUND;
	/* What is no protocol is "any", or was not said. */
	rule->is_any_protocol =
		vmc_policy_protocol_find(protocol, &rule->protocol);
	copy_lists(source, rule);
	if (copy_vms(source, rule) || copy_carriage(source, rule))
		return -EINVAL;
	return 0;
}

/**
 * vmc_config_copy_policy - take over the policy from a file
 * @cfg: the file, read
 * @purpose: what it is read for
 * @config: has its VMs; gets the policy
 *
 * Return: 0; -EINVAL for a mistake, which is told; -ENOMEM.
 */
int vmc_config_copy_policy(cfg_t *cfg, enum vmc_config_purpose purpose,
			   struct vmc_config *config)
{
	struct source source = {
		.cfg = cfg,
		.config = config,
		.purpose = purpose,
	};
	unsigned int i, nr = cfg_size(cfg, "rule");
	int error;

	error = vmc_policy_create(nr, &config->policy);
	for (i = 0; !error && i < nr; i++) {
		source.section = cfg_getnsec(cfg, "rule", i);
		error = copy_rule(&source, &config->policy->rules[i]);
	}
	return error;
}
