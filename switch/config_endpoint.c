// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The endpoints of the configuration: which host processes may have addresses
 * of their own. What they have in common with VMs is in config_vm.c. Called by
 * config.c and config_vm.c.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "switch/config_part.h"

/* Each costs some 60 KiB in the switch, used or not. */
#define MAX_PROCESSES		256
#define DEFAULT_PROCESSES	16

cfg_opt_t vmc_config_endpoint_keys[] = {
	CFG_STR("socket", NULL, CFGF_NODEFAULT),
	CFG_STR_LIST("addresses", NULL, CFGF_NONE),
	CFG_STR("network", VMC_CONFIG_NETWORK, CFGF_NONE),
	CFG_STR_LIST("users", "{root}", CFGF_NONE),
	CFG_STR_LIST("groups", NULL, CFGF_NONE),
	CFG_INT("max_processes", DEFAULT_PROCESSES, CFGF_NONE),
	VMC_CONFIG_LIMITS(VMC_CONFIG_AS_ALL),
	CFG_END(),
};

static int check_processes(cfg_t *cfg, cfg_opt_t *opt)
{
	long number = cfg_opt_getnint(opt, 0);

	if (number >= 1 && number <= MAX_PROCESSES)
		return 0;
	vmc_config_complain(cfg, "%s: %ld is not between 1 and %d", opt->name,
			    number, MAX_PROCESSES);
	return -1;
}

/**
 * vmc_config_set_endpoint_checks - have what only endpoints have checked
 * @cfg: the file
 */
void vmc_config_set_endpoint_checks(cfg_t *cfg)
{
	cfg_set_validate_func(cfg, "endpoint|max_processes", check_processes);
}

/* The number that a name or a number stands for. */
static int find_id(const char *text, bool is_group, uint32_t *ret_id)
{
	unsigned long number;
	struct passwd *user;
	struct group *group;
	char *end;

	number = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && number < UINT32_MAX) {
		*ret_id = (uint32_t)number;
		return 0;
	}
	if (is_group) {
		group = getgrnam(text);
		*ret_id = group ? group->gr_gid : 0;
		return group ? 0 : -ENOENT;
	}
	user = getpwnam(text);
	*ret_id = user ? user->pw_uid : 0;
	return user ? 0 : -ENOENT;
}

static int copy_ids(cfg_t *section, const char *key, bool is_group,
		    unsigned int *ret_nr, uint32_t **ret_ids)
{
	unsigned int i, nr = cfg_size(section, key);
	const char *text;

	*ret_ids = calloc(nr + 1, sizeof(uint32_t));
	if (!*ret_ids)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		text = cfg_getnstr(section, key, i);
		if (find_id(text, is_group, &(*ret_ids)[i])) {
			vmc_config_complain(section, "endpoint \"%s\": %s: there is no %s \"%s\"",
					    cfg_title(section), key,
					    is_group ? "group" : "user", text);
			return -EINVAL;
		}
	}
	*ret_nr = nr;
	return 0;
}

/* All names, as they stand. */
static char *join(cfg_t *section)
{
	static const char * const keys[] = { "users", "groups" };
	char *text = NULL;
	unsigned int i, k;
	size_t bytes;
	FILE *stream = open_memstream(&text, &bytes);

	if (!stream)
		return NULL;
	for (k = 0; k < 2; k++) {
		fprintf(stream, "%s:", keys[k]);
		for (i = 0; i < cfg_size(section, keys[k]); i++)
			fprintf(stream, " %s", cfg_getnstr(section, keys[k], i));
	}
	return fclose(stream) ? NULL : text;
}

/**
 * vmc_config_copy_access - take over who may be an endpoint
 * @section: the endpoint's
 * @purpose: on a reload nobody is looked for
 * @access: all zero; freed with vmc_config_free_access(), also on failure
 *
 * Return: 0, -ENOMEM, or -EINVAL when somebody does not exist, which is told.
 */
int vmc_config_copy_access(cfg_t *section, enum vmc_config_purpose purpose,
			   struct vmc_config_access *access)
{
	int error;

	access->max_processes =
		(unsigned int)cfg_getint(section, "max_processes");
	access->text = join(section);
	if (!access->text)
		return -ENOMEM;
	if (purpose == VMC_CONFIG_RELOAD)
		return 0;
	error = copy_ids(section, "users", false, &access->nr_users,
			 &access->users);
	if (!error)
		error = copy_ids(section, "groups", true, &access->nr_groups,
				 &access->groups);
	return error;
}

/**
 * vmc_config_free_access - undo vmc_config_copy_access()
 * @access: filled in or all zero
 */
void vmc_config_free_access(struct vmc_config_access *access)
{
	free(access->users);
	free(access->groups);
	free(access->text);
}
