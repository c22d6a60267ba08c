// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rules of the configuration: the keys of a section rule, and what can be
 * checked of each for itself. Called by config.c; config_policy.c makes the
 * policy of them.
 */
#include <errno.h>
#include <string.h>

#include "switch/config_part.h"
#include "switch/transport.h"
#include "switch/value.h"

#define MAX_RULES	4096

static int note_line(cfg_t *cfg, cfg_opt_t *opt, const char *value,
		     void *result)
{
	(void)opt;
	(void)value;
	*(long *)result = cfg->line;
	return 0;
}

/* Keep a word that is one of two or three. */
static int keep_one_of(cfg_t *cfg, cfg_opt_t *opt, const char *value,
		       void *result, const char *const *words,
		       const char *text)
{
	for (; *words; words++) {
		if (!strcmp(*words, value))
			return vmc_config_keep_word(cfg, opt, value, result);
	}
	vmc_config_complain(cfg, "%s: \"%s\" is not %s", opt->name, value,
			    text);
	return -1;
}

static int keep_action(cfg_t *cfg, cfg_opt_t *opt, const char *value,
		       void *result)
{
	static const char * const words[] = { "allow", "deny", NULL };

	return keep_one_of(cfg, opt, value, result, words, "allow or deny");
}

static int keep_direction(cfg_t *cfg, cfg_opt_t *opt, const char *value,
			  void *result)
{
	static const char * const words[] = { "out", "in", NULL };

	return keep_one_of(cfg, opt, value, result, words, "out or in");
}

static int keep_protocol(cfg_t *cfg, cfg_opt_t *opt, const char *value,
			 void *result)
{
	static const char * const words[] = { "any", "tcp", "udp", "icmp",
					      NULL };

	return keep_one_of(cfg, opt, value, result, words,
			   "any, tcp, udp or icmp");
}

static int keep_transport(cfg_t *cfg, cfg_opt_t *opt, const char *value,
			  void *result)
{
	static const char * const words[] = { "tcp", "mptcp", NULL };
	int error = strcmp(value, "mptcp") ? 0 : vmc_transport_check_mptcp();

	if (!error)
		return keep_one_of(cfg, opt, value, result, words,
				   "tcp or mptcp");
	vmc_config_complain(cfg, "%s: this host has no MPTCP: %s; see net.mptcp.enabled",
			    opt->name, strerror(-error));
	return -1;
}

static int keep_remote(cfg_t *cfg, cfg_opt_t *opt, const char *value,
		       void *result)
{
	struct vmc_address network;
	int error = 0;

	if (strcmp(value, VMC_CONFIG_ALL))
		error = vmc_value_network(value, &network);
	if (!error)
		return vmc_config_keep_word(cfg, opt, value, result);
	if (error == -EDOM)
		vmc_config_complain(cfg, "%s: \"%s\" has bits set beyond its prefix; is the prefix or the address meant?",
				    opt->name, value);
	else if (error == -EAFNOSUPPORT)
		vmc_config_complain(cfg, "%s: \"%s\" is IPv4 mapped into IPv6; write it as IPv4",
				    opt->name, value);
	else
		vmc_config_complain(cfg, "%s: \"%s\" is not a network such as 10.0.0.0/8 or 2001:db8::/32, nor an address",
				    opt->name, value);
	return -1;
}

static int keep_ports(cfg_t *cfg, cfg_opt_t *opt, const char *value,
		      void *result)
{
	struct vmc_port_range ports;
	int error = 0;

	if (strcmp(value, VMC_CONFIG_ALL))
		error = vmc_value_ports(value, &ports);
	if (!error)
		return vmc_config_keep_word(cfg, opt, value, result);
	vmc_config_complain(cfg, error == -ERANGE ?
			    "%s: \"%s\" ends before it begins" :
			    "%s: \"%s\" is not a port from 1 to 65535 or a range such as 8000-8999",
			    opt->name, value);
	return -1;
}

cfg_opt_t vmc_config_rule_keys[] = {
	/* Its default is made where the section begins, and is the line. */
	CFG_INT_LIST_CB(VMC_CONFIG_LINE_KEY, "{0}", CFGF_NONE, note_line),
	VMC_CONFIG_WORD("action", keep_action),
	VMC_CONFIG_WORD("direction", keep_direction),
	VMC_CONFIG_WORDS("vm", "{\"*\"}", vmc_config_keep_word),
	VMC_CONFIG_WORD("protocol", keep_protocol),
	VMC_CONFIG_WORDS("remote", "{\"*\"}", keep_remote),
	VMC_CONFIG_WORDS("ports", "{\"*\"}", keep_ports),
	VMC_CONFIG_WORD("transport", keep_transport),
	VMC_CONFIG_WORD("congestion", vmc_config_keep_word),
	VMC_CONFIG_WORD("proxy", vmc_config_keep_word),
	CFG_END(),
};

/* A list that was not given is { "*" }. */
static int check_list(cfg_t *cfg, cfg_t *rule, const char *key)
{
	cfg_opt_t *opt = cfg_getopt(rule, key);
	unsigned int i, nr = cfg_opt_size(opt);
	const struct vmc_config_word *word;

	if (!nr) {
		vmc_config_complain(cfg, "%s: the list of rule \"%s\" is empty; leave it out to mean all",
				    key, cfg_title(rule));
		return -1;
	}
	if (nr > VMC_RULE_MAX_ITEMS) {
		vmc_config_complain(cfg, "%s: rule \"%s\" has more than %d; write another rule for the others",
				    key, cfg_title(rule), VMC_RULE_MAX_ITEMS);
		return -1;
	}
	for (i = 0; nr > 1 && i < nr; i++) {
		word = cfg_opt_getnptr(opt, i);
		if (strcmp(word->text, VMC_CONFIG_ALL))
			continue;
		vmc_config_complain_at(cfg, word->line,
				       "%s: \"*\" means all and stands alone",
				       key);
		return -1;
	}
	return 0;
}

/* Transport, congestion and proxy are for what the host is to dial. */
static int check_carriage(cfg_t *cfg, cfg_t *rule)
{
	static const char * const keys[] = {
		"transport", "congestion", "proxy",
	};
	bool is_dialled = !strcmp(vmc_config_text(rule, "action"), "allow") &&
			  !strcmp(vmc_config_text(rule, "direction"), "out") &&
			  strcmp(vmc_config_text(rule, "protocol"), "udp") &&
			  strcmp(vmc_config_text(rule, "protocol"), "icmp");
	const struct vmc_config_word *word;
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		word = vmc_config_word(rule, keys[i]);
		if (!word || is_dialled)
			continue;
		vmc_config_complain_at(cfg, word->line,
				       "%s: rule \"%s\" does not allow outbound TCP, and only such a rule has this key",
				       keys[i], cfg_title(rule));
		return -1;
	}
	return 0;
}

/* Echo requests have none, and are none of a rule that names some. */
static int check_ports(cfg_t *cfg, cfg_t *rule)
{
	const struct vmc_config_word *word =
		cfg_opt_getnptr(cfg_getopt(rule, "ports"), 0);

	if (strcmp(vmc_config_text(rule, "protocol"), "icmp") ||
	    !strcmp(word->text, VMC_CONFIG_ALL))
		return 0;
	vmc_config_complain_at(cfg, word->line,
			       "ports: rule \"%s\" is about icmp, which has none",
			       cfg_title(rule));
	return -1;
}

/* Called at the end of each rule section. */
static int check_rule(cfg_t *cfg, cfg_opt_t *opt)
{
	static const char * const needed[] = { "action", "direction" };
	static const char * const lists[] = { "vm", "remote", "ports" };
	cfg_t *rule = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	size_t i;

	if (vmc_config_check_title(cfg, opt->name, rule))
		return -1;
	if (cfg_opt_size(opt) > MAX_RULES) {
		vmc_config_complain(cfg, "rule: there are more than %d",
				    MAX_RULES);
		return -1;
	}
	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (vmc_config_word(rule, needed[i]))
			continue;
		vmc_config_complain(cfg, "rule \"%s\": the key %s is missing",
				    cfg_title(rule), needed[i]);
		return -1;
	}
	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (check_list(cfg, rule, lists[i]))
			return -1;
	}
	return check_ports(cfg, rule) ? -1 : check_carriage(cfg, rule);
}

/**
 * vmc_config_set_rule_checks - have rules checked
 * @cfg: the file
 */
void vmc_config_set_rule_checks(cfg_t *cfg)
{
	cfg_set_validate_func(cfg, "rule", check_rule);
}
