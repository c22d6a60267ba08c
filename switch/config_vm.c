// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The VMs and networks of the configuration, and what endpoints have in common
 * with VMs: sections vm and network, and the limits, which the top level has as
 * well, for every VM and endpoint. Called by config.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "switch/address.h"
#include "switch/config_part.h"

#define MAX_VMS		1024

cfg_opt_t vmc_config_network_keys[] = {
	CFG_BOOL("isolated", cfg_false, CFGF_NONE),
	CFG_END(),
};

cfg_opt_t vmc_config_vm_keys[] = {
	CFG_STR("socket", NULL, CFGF_NODEFAULT),
	CFG_STR_LIST("addresses", NULL, CFGF_NONE),
	CFG_STR("network", VMC_CONFIG_NETWORK, CFGF_NONE),
	CFG_STR("source", "nat", CFGF_NONE),
	VMC_CONFIG_LIMITS(VMC_CONFIG_AS_ALL),
	CFG_END(),
};

/* A name of a VM or a network, for JSON, logs and tables. */
static bool name_is_good(const char *name)
{
	size_t bytes = strlen(name);
	size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyz"
			     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	return bytes && bytes < VMC_NAME_BYTES && good == bytes;
}

static int check_name(cfg_t *cfg, const char *key, const char *name)
{
	if (name_is_good(name))
		return 0;
	vmc_config_complain(cfg, "%s: the name \"%s\" must have 1 to %d letters, digits, dots, dashes or underscores",
			    key, name, VMC_NAME_BYTES - 1);
	return -1;
}

/**
 * vmc_config_check_path - libconfuse's check of a socket's path
 * @cfg: the section
 * @opt: the key
 *
 * Return: 0, or -1 when there is a mistake, which is told.
 */
int vmc_config_check_path(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *path = cfg_opt_getnstr(opt, 0);

	if (!path || *path != '/') {
		vmc_config_complain(cfg, "%s: \"%s\" is not an absolute path",
				    opt->name, path ? path : "");
		return -1;
	}
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		vmc_config_complain(cfg, "%s: the path is longer than a socket's may be (%zu bytes)",
				    opt->name,
				    sizeof(((struct sockaddr_un *)0)->
					   sun_path) - 1);
		return -1;
	}
	return 0;
}

/**
 * vmc_config_check_number - libconfuse's check of a number that is no code
 * @cfg: the section
 * @opt: the key
 *
 * Return: as vmc_config_check_path().
 */
int vmc_config_check_number(cfg_t *cfg, cfg_opt_t *opt)
{
	long number = cfg_opt_getnint(opt, 0);

	if (number >= 0 && number <= UINT32_MAX)
		return 0;
	vmc_config_complain(cfg, "%s: %ld is not between 0 and %u", opt->name,
			    number, UINT32_MAX);
	return -1;
}

static int check_network_name(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_name(cfg, opt->name, cfg_opt_getnstr(opt, 0));
}

static int check_source(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *source = cfg_opt_getnstr(opt, 0);

	if (!strcmp(source, "nat") || !strcmp(source, "routed"))
		return 0;
	vmc_config_complain(cfg, "%s: \"%s\" is not nat or routed", opt->name,
			    source);
	return -1;
}

static int check_addresses(cfg_t *cfg, cfg_opt_t *opt)
{
	unsigned int i, nr = cfg_opt_size(opt);
	struct vmc_address address;

	for (i = 0; i < nr; i++) {
		if (!vmc_address_parse(cfg_opt_getnstr(opt, i), &address))
			continue;
		vmc_config_complain(cfg, "%s: \"%s\" is not an IP address with a prefix length that a VM can own, such as 10.77.0.1/24 or fd77::1/64",
				    opt->name, cfg_opt_getnstr(opt, i));
		return -1;
	}
	if (nr <= VMC_MAX_ADDRESSES)
		return 0;
	vmc_config_complain(cfg, "%s: a VM has at most %d addresses",
			    opt->name, VMC_MAX_ADDRESSES);
	return -1;
}

/* Whether two sections, of VMs or endpoints, have something in common. */
static int compare(cfg_t *cfg, cfg_t *a, cfg_t *b, const char *b_kind)
{
	unsigned int i, j;
	struct vmc_address x, y;

	if (!strcmp(cfg_title(a), cfg_title(b))) {
		vmc_config_complain(cfg, "%s: the name \"%s\" is used in a section \"%s\" already",
				    cfg_name(a), cfg_title(a), b_kind);
		return -1;
	}
	if (!strcmp(cfg_getstr(a, "socket"), cfg_getstr(b, "socket"))) {
		vmc_config_complain(cfg, "socket: \"%s\" is used by %s \"%s\" already",
				    cfg_getstr(a, "socket"), b_kind,
				    cfg_title(b));
		return -1;
	}
	for (i = 0; i < cfg_size(a, "addresses"); i++) {
		vmc_address_parse(cfg_getnstr(a, "addresses", i), &x);
		for (j = 0; j < cfg_size(b, "addresses"); j++) {
			vmc_address_parse(cfg_getnstr(b, "addresses", j), &y);
			if (x.family != y.family ||
			    memcmp(x.address, y.address, sizeof(x.address)))
				continue;
			vmc_config_complain(cfg, "addresses: \"%s\" belongs to %s \"%s\" already",
					    cfg_getnstr(a, "addresses", i),
					    b_kind, cfg_title(b));
			return -1;
		}
	}
	return 0;
}

static int compare_with_all(cfg_t *cfg, cfg_t *owner, const char *kind)
{
	unsigned int i;
	cfg_t *other;

	for (i = 0; i < cfg_size(cfg, kind); i++) {
		other = cfg_getnsec(cfg, kind, i);
		if (other != owner && compare(cfg, owner, other, kind))
			return -1;
	}
	return 0;
}

/* Called at the end of each vm or endpoint section, so the line is near. */
static int check_owner(cfg_t *cfg, cfg_opt_t *opt)
{
	unsigned int nr = cfg_opt_size(opt);
	cfg_t *owner = cfg_opt_getnsec(opt, nr - 1);

	if (check_name(cfg, opt->name, cfg_title(owner)))
		return -1;
	if (!cfg_size(owner, "socket") || !cfg_getstr(owner, "socket")) {
		vmc_config_complain(cfg, "%s \"%s\": the key socket is missing",
				    opt->name, cfg_title(owner));
		return -1;
	}
	if (!cfg_size(owner, "addresses")) {
		vmc_config_complain(cfg, "%s \"%s\": the key addresses is missing",
				    opt->name, cfg_title(owner));
		return -1;
	}
	if (nr > MAX_VMS) {
		vmc_config_complain(cfg, "%s: there are more than %d",
				    opt->name, MAX_VMS);
		return -1;
	}
	return compare_with_all(cfg, owner, "vm") ||
	       compare_with_all(cfg, owner, "endpoint") ? -1 : 0;
}

static int check_network(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *network = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);

	return check_name(cfg, opt->name, cfg_title(network));
}

static void set_owner_checks(cfg_t *cfg, const char *kind)
{
	static const struct {
		const char *key;
		cfg_validate_callback_t check;
	} checks[] = {
		{ "socket",			vmc_config_check_path },
		{ "network",			check_network_name },
		{ "addresses",			check_addresses },
		{ "max_circuits",		vmc_config_check_number },
		{ "max_ring_mib",		vmc_config_check_number },
		{ "max_connects_per_second",	vmc_config_check_number },
	};
	char path[64];
	size_t i;

	cfg_set_validate_func(cfg, kind, check_owner);
	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		snprintf(path, sizeof(path), "%s|%s", kind, checks[i].key);
		cfg_set_validate_func(cfg, path, checks[i].check);
	}
}

/**
 * vmc_config_set_vm_checks - have VMs, endpoints, networks and limits checked
 * @cfg: the file
 */
void vmc_config_set_vm_checks(cfg_t *cfg)
{
	static const char * const limits[] = {
		"max_circuits", "max_ring_mib", "max_connects_per_second",
	};
	size_t i;

	cfg_set_validate_func(cfg, "network", check_network);
	cfg_set_validate_func(cfg, "vm|source", check_source);
	set_owner_checks(cfg, "vm");
	set_owner_checks(cfg, "endpoint");
	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		cfg_set_validate_func(cfg, limits[i], vmc_config_check_number);
}

static uint32_t limit_of(cfg_t *cfg, cfg_t *owner, const char *key)
{
	long own = cfg_getint(owner, key);

	return (uint32_t)(own == VMC_CONFIG_AS_ALL ? cfg_getint(cfg, key) : own);
}

/* What VMs and endpoints have in common. */
static int copy_owner(cfg_t *cfg, cfg_t *section, struct vmc_config_vm *vm)
{
	unsigned int i;

	strcpy(vm->name, cfg_title(section));
	strcpy(vm->network, cfg_getstr(section, "network"));
	vm->nr_addresses = cfg_size(section, "addresses");
	for (i = 0; i < vm->nr_addresses; i++)
		vmc_address_parse(cfg_getnstr(section, "addresses", i),
				  &vm->addresses[i]);
	vm->limits.circuits = limit_of(cfg, section, "max_circuits");
	vm->limits.memory_bytes =
		(uint64_t)limit_of(cfg, section, "max_ring_mib") << 20;
	vm->limits.connects_per_second =
		limit_of(cfg, section, "max_connects_per_second");
	vm->socket = strdup(cfg_getstr(section, "socket"));
	return vm->socket ? 0 : -ENOMEM;
}

static int copy_networks(cfg_t *cfg, struct vmc_config *config)
{
	unsigned int i, nr = cfg_size(cfg, "network");
	struct vmc_config_network *network;
	cfg_t *section;

	config->networks = calloc(nr + 1, sizeof(*config->networks));
	if (!config->networks)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		section = cfg_getnsec(cfg, "network", i);
		network = &config->networks[config->nr_networks++];
		strcpy(network->name, cfg_title(section));
		network->is_isolated = cfg_getbool(section, "isolated");
	}
	return 0;
}

/**
 * vmc_config_copy_vms - take over VMs, endpoints and networks from a file
 * @cfg: the file, read
 * @purpose: whether users and groups are looked for
 * @config: gets them
 *
 * Return: 0, -ENOMEM, or -EINVAL when there is a mistake, which is told.
 */
int vmc_config_copy_vms(cfg_t *cfg, enum vmc_config_purpose purpose,
			struct vmc_config *config)
{
	unsigned int i, nr_vms = cfg_size(cfg, "vm");
	unsigned int nr_endpoints = cfg_size(cfg, "endpoint");
	struct vmc_config_vm *vm;
	cfg_t *section;
	int error;

	config->vms = calloc(nr_vms + nr_endpoints + 1, sizeof(*config->vms));
	if (!config->vms)
		return -ENOMEM;
	for (i = 0; i < nr_vms; i++) {
		section = cfg_getnsec(cfg, "vm", i);
		vm = &config->vms[config->nr_vms++];
		if (!strcmp(cfg_getstr(section, "source"), "routed"))
			vm->source = VMC_SOURCE_ROUTED;
		error = copy_owner(cfg, section, vm);
		if (error)
			return error;
	}
	for (i = 0; i < nr_endpoints; i++) {
		section = cfg_getnsec(cfg, "endpoint", i);
		vm = &config->vms[config->nr_vms + config->nr_endpoints++];
		vm->is_endpoint = true;
		error = copy_owner(cfg, section, vm);
		if (!error)
			error = vmc_config_copy_access(section, purpose,
						       &vm->access);
		if (error)
			return error;
	}
	return copy_networks(cfg, config);
}

/**
 * vmc_config_find_vm - find a VM by its name
 * @config: has its VMs already
 * @name: the name
 * @ret_vm: its index
 *
 * Return: 0 or -ENOENT.
 */
int vmc_config_find_vm(const struct vmc_config *config, const char *name,
		       unsigned int *ret_vm)
{
	unsigned int i;

	for (i = 0; i < config->nr_vms; i++) {
		if (strcmp(config->vms[i].name, name))
			continue;
		*ret_vm = i;
		return 0;
	}
	return -ENOENT;
}

/**
 * vmc_config_vm_owns - whether a name has an address of the VM
 * @vm: the VM
 * @name: checked
 */
bool vmc_config_vm_owns(const struct vmc_config_vm *vm,
			const struct vmc_name *name)
{
	unsigned int i;

	for (i = 0; i < vm->nr_addresses; i++) {
		if (vmc_address_is(&vm->addresses[i], name))
			return true;
	}
	return false;
}

/**
 * vmc_config_find_owner - which VM or endpoint has the address of a name
 * @config: with its VMs and endpoints
 * @name: checked
 *
 * Return: whose it is, or NULL.
 */
const struct vmc_config_vm *
vmc_config_find_owner(const struct vmc_config *config,
		      const struct vmc_name *name)
{
	unsigned int i;

	for (i = 0; i < config->nr_vms + config->nr_endpoints; i++) {
		if (vmc_config_vm_owns(&config->vms[i], name))
			return &config->vms[i];
	}
	return NULL;
}
