// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The configuration file. Owns the parsed result until vmc_config_free().
 * Every mistake is one line on standard error that names file, line and key.
 * Called by main.c, before anything else is open.
 */
#include <confuse.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "switch/address.h"
#include "switch/config.h"
#include "switch/log.h"

#define DEFAULT_CONTROL	"/run/vmcircuit/control.sock"
#define DEFAULT_NETWORK	"default"
#define MAX_VMS		1024

static void print_error(cfg_t *cfg, const char *format, va_list args)
{
	if (cfg && cfg->filename && cfg->line)
		fprintf(stderr, "%s:%d: ", cfg->filename, cfg->line);
	else if (cfg && cfg->filename)
		fprintf(stderr, "%s: ", cfg->filename);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

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
	cfg_error(cfg, "%s: the name \"%s\" must have 1 to %d letters, digits, dots, dashes or underscores",
		  key, name, VMC_NAME_BYTES - 1);
	return -1;
}

static int check_path(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *path = cfg_opt_getnstr(opt, 0);

	if (!path || *path != '/') {
		cfg_error(cfg, "%s: \"%s\" is not an absolute path", opt->name,
			  path ? path : "");
		return -1;
	}
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		cfg_error(cfg, "%s: the path is longer than a socket's may be (%zu bytes)",
			  opt->name,
			  sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
		return -1;
	}
	return 0;
}

static int check_network_name(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_name(cfg, opt->name, cfg_opt_getnstr(opt, 0));
}

static int check_addresses(cfg_t *cfg, cfg_opt_t *opt)
{
	unsigned int i, nr = cfg_opt_size(opt);
	struct vmc_address address;

	for (i = 0; i < nr; i++) {
		if (!vmc_address_parse(cfg_opt_getnstr(opt, i), &address))
			continue;
		cfg_error(cfg, "%s: \"%s\" is not an IP address with a prefix length that a VM can own, such as 10.77.0.1/24 or fd77::1/64",
			  opt->name, cfg_opt_getnstr(opt, i));
		return -1;
	}
	if (nr <= VMC_MAX_ADDRESSES)
		return 0;
	cfg_error(cfg, "%s: a VM has at most %d addresses", opt->name,
		  VMC_MAX_ADDRESSES);
	return -1;
}

/* Whether two VMs have an address or a socket in common. */
static int compare_vms(cfg_t *cfg, cfg_t *a, cfg_t *b)
{
	unsigned int i, j;
	struct vmc_address x, y;

	if (!strcmp(cfg_getstr(a, "socket"), cfg_getstr(b, "socket"))) {
		cfg_error(cfg, "socket: \"%s\" is used by vm \"%s\" already",
			  cfg_getstr(a, "socket"), cfg_title(b));
		return -1;
	}
	for (i = 0; i < cfg_size(a, "addresses"); i++) {
		vmc_address_parse(cfg_getnstr(a, "addresses", i), &x);
		for (j = 0; j < cfg_size(b, "addresses"); j++) {
			vmc_address_parse(cfg_getnstr(b, "addresses", j), &y);
			if (x.family != y.family ||
			    memcmp(x.address, y.address, sizeof(x.address)))
				continue;
			cfg_error(cfg, "addresses: \"%s\" belongs to vm \"%s\" already",
				  cfg_getnstr(a, "addresses", i),
				  cfg_title(b));
			return -1;
		}
	}
	return 0;
}

/* Called at the end of each vm section, so the line is near. */
static int check_vm(cfg_t *cfg, cfg_opt_t *opt)
{
	unsigned int i, nr = cfg_opt_size(opt);
	cfg_t *vm = cfg_opt_getnsec(opt, nr - 1);

	if (check_name(cfg, opt->name, cfg_title(vm)))
		return -1;
	if (!cfg_size(vm, "socket") || !cfg_getstr(vm, "socket")) {
		cfg_error(cfg, "vm \"%s\": the key socket is missing",
			  cfg_title(vm));
		return -1;
	}
	if (!cfg_size(vm, "addresses")) {
		cfg_error(cfg, "vm \"%s\": the key addresses is missing",
			  cfg_title(vm));
		return -1;
	}
	if (nr > MAX_VMS) {
		cfg_error(cfg, "vm: there are more than %d", MAX_VMS);
		return -1;
	}
	for (i = 0; i < nr - 1; i++) {
		if (compare_vms(cfg, vm, cfg_opt_getnsec(opt, i)))
			return -1;
	}
	return 0;
}

static int check_network(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *network = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);

	return check_name(cfg, opt->name, cfg_title(network));
}

static int check_log_level(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *level = cfg_opt_getnstr(opt, 0);

	if (!vmc_log_set_level(level))
		return 0;
	cfg_error(cfg, "%s: \"%s\" is not error, warning, notice, info or debug",
		  opt->name, level);
	return -1;
}

static int check_user(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *name = cfg_opt_getnstr(opt, 0);

	if (!*name || getpwnam(name))
		return 0;
	cfg_error(cfg, "%s: there is no user \"%s\"", opt->name, name);
	return -1;
}

static int check_group(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *name = cfg_opt_getnstr(opt, 0);

	if (!*name || getgrnam(name))
		return 0;
	cfg_error(cfg, "%s: there is no group \"%s\"", opt->name, name);
	return -1;
}

static int parse_mode(const char *text, mode_t *ret_mode)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (!*text || *end || mode > 0777)
		return -EINVAL;
	*ret_mode = (mode_t)mode;
	return 0;
}

static int check_mode(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);
	mode_t mode;

	if (!parse_mode(text, &mode))
		return 0;
	cfg_error(cfg, "%s: \"%s\" is not an octal file mode such as 0660",
		  opt->name, text);
	return -1;
}

static void set_checks(cfg_t *cfg)
{
	cfg_set_validate_func(cfg, "control", check_path);
	cfg_set_validate_func(cfg, "log_level", check_log_level);
	cfg_set_validate_func(cfg, "user", check_user);
	cfg_set_validate_func(cfg, "socket_owner", check_user);
	cfg_set_validate_func(cfg, "socket_group", check_group);
	cfg_set_validate_func(cfg, "socket_mode", check_mode);
	cfg_set_validate_func(cfg, "network", check_network);
	cfg_set_validate_func(cfg, "vm", check_vm);
	cfg_set_validate_func(cfg, "vm|socket", check_path);
	cfg_set_validate_func(cfg, "vm|network", check_network_name);
	cfg_set_validate_func(cfg, "vm|addresses", check_addresses);
}

static int copy_vm(cfg_t *cfg, struct vmc_config_vm *vm)
{
	unsigned int i;

	strcpy(vm->name, cfg_title(cfg));
	strcpy(vm->network, cfg_getstr(cfg, "network"));
	vm->nr_addresses = cfg_size(cfg, "addresses");
	for (i = 0; i < vm->nr_addresses; i++)
		vmc_address_parse(cfg_getnstr(cfg, "addresses", i),
				  &vm->addresses[i]);
	vm->socket = strdup(cfg_getstr(cfg, "socket"));
	return vm->socket ? 0 : -ENOMEM;
}

static void copy_socket_rights(cfg_t *cfg, struct vmc_config *config)
{
	struct passwd *owner = getpwnam(cfg_getstr(cfg, "socket_owner"));
	struct group *group = getgrnam(cfg_getstr(cfg, "socket_group"));

	config->socket_owner = owner ? owner->pw_uid : (uid_t)-1;
	config->socket_group = group ? group->gr_gid : (gid_t)-1;
	parse_mode(cfg_getstr(cfg, "socket_mode"), &config->socket_mode);
}

static int copy(cfg_t *cfg, struct vmc_config *config)
{
	unsigned int i, nr_vms = cfg_size(cfg, "vm");
	unsigned int nr_networks = cfg_size(cfg, "network");
	cfg_t *network;

	config->control = strdup(cfg_getstr(cfg, "control"));
	config->log_level = strdup(cfg_getstr(cfg, "log_level"));
	config->user = strdup(cfg_getstr(cfg, "user"));
	config->vms = calloc(nr_vms + 1, sizeof(*config->vms));
	config->networks = calloc(nr_networks + 1, sizeof(*config->networks));
	if (!config->control || !config->log_level || !config->user ||
	    !config->vms || !config->networks)
		return -ENOMEM;
	config->is_sandboxed = cfg_getbool(cfg, "sandbox");
	copy_socket_rights(cfg, config);
	for (i = 0; i < nr_networks; i++) {
		network = cfg_getnsec(cfg, "network", i);
		strcpy(config->networks[i].name, cfg_title(network));
		config->networks[i].is_isolated =
			cfg_getbool(network, "isolated");
		config->nr_networks++;
	}
	for (i = 0; i < nr_vms; i++) {
		config->nr_vms++;
		if (copy_vm(cfg_getnsec(cfg, "vm", i), &config->vms[i]))
			return -ENOMEM;
	}
	return 0;
}

/**
 * vmc_config_read - read and check a configuration file
 * @path: the file
 * @ret_config: the configuration; freed with vmc_config_free()
 *
 * Return: 0; -EINVAL when something is wrong in the file, -ENOENT when it
 * cannot be read, -ENOMEM. What is wrong stands on standard error.
 */
int vmc_config_read(const char *path, struct vmc_config **ret_config)
{
	cfg_opt_t network_keys[] = {
		CFG_BOOL("isolated", cfg_false, CFGF_NONE),
		CFG_END(),
	};
	cfg_opt_t vm_keys[] = {
		CFG_STR("socket", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("addresses", NULL, CFGF_NONE),
		CFG_STR("network", DEFAULT_NETWORK, CFGF_NONE),
		CFG_END(),
	};
	cfg_opt_t keys[] = {
		CFG_STR("control", DEFAULT_CONTROL, CFGF_NONE),
		CFG_STR("log_level", "info", CFGF_NONE),
		CFG_STR("user", "", CFGF_NONE),
		CFG_BOOL("sandbox", cfg_true, CFGF_NONE),
		CFG_STR("socket_owner", "", CFGF_NONE),
		CFG_STR("socket_group", "", CFGF_NONE),
		CFG_STR("socket_mode", "0660", CFGF_NONE),
		CFG_SEC("network", network_keys, CFGF_MULTI | CFGF_TITLE |
			CFGF_NO_TITLE_DUPES),
		CFG_SEC("vm", vm_keys, CFGF_MULTI | CFGF_TITLE |
			CFGF_NO_TITLE_DUPES),
		CFG_END(),
	};
	struct vmc_config *config;
	cfg_t *cfg = cfg_init(keys, CFGF_NONE);
	int error;

	if (!cfg)
		return -ENOMEM;
	cfg_set_error_function(cfg, print_error);
	set_checks(cfg);
	error = -EINVAL;
	switch (cfg_parse(cfg, path)) {
	case CFG_SUCCESS:
		break;
	case CFG_FILE_ERROR:
		fprintf(stderr, "%s: the configuration cannot be read: %s\n",
			path, strerror(errno));
		error = -ENOENT;
		goto free_cfg;
	default:
		goto free_cfg;
	}
	error = -ENOMEM;
	config = calloc(1, sizeof(*config));
	if (!config)
		goto free_cfg;
	error = copy(cfg, config);
	if (error)
		goto free_config;
	config->uplink.is_enabled = getenv("VMC_UPLINK"); /*STUB*/
	cfg_free(cfg);
	*ret_config = config;
	return 0;

free_config:
	vmc_config_free(config);
free_cfg:
	cfg_free(cfg);
	return error;
}

/**
 * vmc_config_free - free a configuration
 * @config: from vmc_config_read()
 */
void vmc_config_free(struct vmc_config *config)
{
	unsigned int i;

	for (i = 0; i < config->nr_vms; i++)
		free(config->vms[i].socket);
	free(config->vms);
	free(config->networks);
	free(config->control);
	free(config->log_level);
	free(config->user);
	free(config);
}
