// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The configuration file: how it is read, the keys of its top level, and what
 * is said about a mistake, which is one line that names file, line and key.
 * Owns the parsed result until vmc_config_free(). Called by main.c before
 * anything else is open, and by reload.c. The sections are in config_vm.c,
 * config_endpoint.c, config_uplink.c, config_proxy.c, config_rule.c and
 * config_policy.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "switch/config_part.h"

#define DEFAULT_CONTROL	"/run/vmcircuit/control.sock"

/* Of the file being read; libconfuse has no place for it. */
static char *complaint;

/* The first mistake is the one to tell. */
static void complain_at(cfg_t *cfg, int line, const char *format, va_list args)
{
	const char *file = cfg && cfg->filename ? cfg->filename : "";
	size_t used, i;

	if (*complaint)
		return;
	if (line)
		used = (size_t)snprintf(complaint, VMC_COMPLAINT_BYTES,
					"%s:%d: ", file, line);
	else
		used = (size_t)snprintf(complaint, VMC_COMPLAINT_BYTES,
					"%s: ", file);
	if (used < VMC_COMPLAINT_BYTES)
		vsnprintf(complaint + used, VMC_COMPLAINT_BYTES - used, format,
			  args);
	/* One line, whatever the file has in its strings. */
	for (i = 0; complaint[i]; i++) {
		if ((unsigned char)complaint[i] < ' ' || complaint[i] == 127)
			complaint[i] = '?';
	}
}

/**
 * vmc_config_complain - say what is wrong where the file is being read
 * @cfg: the file or the section
 * @format: printf's format: the key, a colon, a sentence
 */
void vmc_config_complain(cfg_t *cfg, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_at(cfg, cfg->line, format, args);
	va_end(args);
}

/**
 * vmc_config_complain_at - say what is wrong when the file was read
 * @cfg: the file or the section
 * @line: where
 * @format: as for vmc_config_complain()
 */
void vmc_config_complain_at(cfg_t *cfg, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_at(cfg, line, format, args);
	va_end(args);
}

/* What libconfuse has to say; it may quote what it does not understand. */
static void take_error(cfg_t *cfg, const char *format, va_list args)
{
	if (cfg && cfg->name && !strcmp(cfg->name, "proxy"))
		vmc_config_complain(cfg, "proxy: there is an unknown key or an unpaired quote; what it is may be part of a password and is not shown");
	else
		complain_at(cfg, cfg ? cfg->line : 0, format, args);
}

/**
 * vmc_config_keep_word - libconfuse's callback for a string that is kept
 * @cfg: the section
 * @opt: the key
 * @value: the string
 * @result: a struct vmc_config_word, freed with free()
 *
 * Return: 0, or -1 without memory.
 */
int vmc_config_keep_word(cfg_t *cfg, cfg_opt_t *opt, const char *value,
			 void *result)
{
	struct vmc_config_word *word;

	(void)opt;
	word = malloc(sizeof(*word) + strlen(value) + 1);
	if (!word)
		return -1;
	word->line = cfg->line;
	strcpy(word->text, value);
	*(void **)result = word;
	return 0;
}

/**
 * vmc_config_word - the string of a key, and where it stands
 * @cfg: the section
 * @key: of VMC_CONFIG_WORD()
 *
 * Return: the word, or NULL if it was not given.
 */
const struct vmc_config_word *vmc_config_word(cfg_t *cfg, const char *key)
{
	return cfg_size(cfg, key) ? cfg_getptr(cfg, key) : NULL;
}

/**
 * vmc_config_text - the string of a key
 * @cfg: the section
 * @key: of VMC_CONFIG_WORD()
 *
 * Return: the text, "" if it was not given.
 */
const char *vmc_config_text(cfg_t *cfg, const char *key)
{
	const struct vmc_config_word *word = vmc_config_word(cfg, key);

	return word ? word->text : "";
}

static int check_log_level(cfg_t *cfg, cfg_opt_t *opt)
{
	static const char * const levels[] = {
		"error", "warning", "notice", "info", "debug",
	};
	const char *level = cfg_opt_getnstr(opt, 0);
	size_t i;

	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (!strcmp(levels[i], level))
			return 0;
	}
	vmc_config_complain(cfg, "%s: \"%s\" is not error, warning, notice, info or debug",
			    opt->name, level);
	return -1;
}

static int check_user(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *name = cfg_opt_getnstr(opt, 0);

	if (!*name || getpwnam(name))
		return 0;
	vmc_config_complain(cfg, "%s: there is no user \"%s\"", opt->name,
			    name);
	return -1;
}

static int check_group(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *name = cfg_opt_getnstr(opt, 0);

	if (!*name || getgrnam(name))
		return 0;
	vmc_config_complain(cfg, "%s: there is no group \"%s\"", opt->name,
			    name);
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
	vmc_config_complain(cfg, "%s: \"%s\" is not an octal file mode such as 0660",
			    opt->name, text);
	return -1;
}

static void set_checks(cfg_t *cfg, enum vmc_config_purpose purpose)
{
	cfg_set_validate_func(cfg, "control", vmc_config_check_path);
	cfg_set_validate_func(cfg, "log_level", check_log_level);
	cfg_set_validate_func(cfg, "socket_mode", check_mode);
	if (purpose == VMC_CONFIG_START) {
		cfg_set_validate_func(cfg, "user", check_user);
		cfg_set_validate_func(cfg, "socket_owner", check_user);
		cfg_set_validate_func(cfg, "socket_group", check_group);
	}
	vmc_config_set_vm_checks(cfg);
	vmc_config_set_endpoint_checks(cfg);
	vmc_config_set_uplink_checks(cfg);
	vmc_config_set_proxy_checks(cfg);
	vmc_config_set_rule_checks(cfg);
}

static void copy_socket_rights(cfg_t *cfg, enum vmc_config_purpose purpose,
			       struct vmc_config *config)
{
	struct passwd *owner = NULL;
	struct group *group = NULL;

	if (purpose == VMC_CONFIG_START) {
		owner = getpwnam(cfg_getstr(cfg, "socket_owner"));
		group = getgrnam(cfg_getstr(cfg, "socket_group"));
	}
	config->vm_sockets.owner = owner ? owner->pw_uid : (uid_t)-1;
	config->vm_sockets.group = group ? group->gr_gid : (gid_t)-1;
	parse_mode(cfg_getstr(cfg, "socket_mode"),
		   &config->vm_sockets.mode);
}

/* So that it can be found again, wherever the process goes. */
static char *absolute(const char *path)
{
	char directory[PATH_MAX], *whole;

	if (*path == '/' || !getcwd(directory, sizeof(directory)))
		return strdup(path);
	return asprintf(&whole, "%s/%s", directory, path) < 0 ? NULL : whole;
}

static int copy(cfg_t *cfg, const char *path, enum vmc_config_purpose purpose,
		struct vmc_config *config)
{
	int error;

	config->path = absolute(path);
	config->control = strdup(cfg_getstr(cfg, "control"));
	config->log_level = strdup(cfg_getstr(cfg, "log_level"));
	config->user = strdup(cfg_getstr(cfg, "user"));
	if (!config->path || !config->control || !config->log_level ||
	    !config->user)
		return -ENOMEM;
	config->is_sandboxed = cfg_getbool(cfg, "sandbox");
	copy_socket_rights(cfg, purpose, config);
	error = vmc_config_copy_vms(cfg, purpose, config);
	if (!error)
		error = vmc_config_copy_uplink(cfg, config);
	if (!error)
		error = vmc_config_copy_policy(cfg, purpose, config);
	return error;
}

/* A reload must not wait for what a pipe has to say. */
static FILE *open_file(const char *path, enum vmc_config_purpose purpose)
{
	bool is_reload = purpose == VMC_CONFIG_RELOAD;
	int fd = open(path, O_RDONLY | O_CLOEXEC |
		      (is_reload ? O_NONBLOCK : 0));
	struct stat status;
	FILE *file = NULL;

	if (fd < 0)
		return NULL;
	if (is_reload && (fstat(fd, &status) || !S_ISREG(status.st_mode)))
		errno = EINVAL;
	else
		file = fdopen(fd, "r");
	if (!file)
		close(fd);
	return file;
}

static int parse(cfg_t *cfg, const char *path, enum vmc_config_purpose purpose)
{
	FILE *file = open_file(path, purpose);
	int result;

	cfg->filename = strdup(path);
	if (!file) {
		vmc_config_complain_at(cfg, 0,
				       "the configuration cannot be read: %s%s",
				       strerror(errno), errno == EACCES &&
				       purpose == VMC_CONFIG_RELOAD ?
				       "; the user that the switch runs as must be able to" :
				       "");
		return -ENOENT;
	}
	result = cfg_parse_fp(cfg, file);
	fclose(file);
	return result == CFG_SUCCESS ? 0 : -EINVAL;
}

/**
 * vmc_config_read - read and check a configuration file
 * @path: the file
 * @purpose: what it is read for
 * @ret_config: the configuration; freed with vmc_config_free()
 * @ret_complaint: what is wrong, on failure
 *
 * Return: 0; -EINVAL when something is wrong in the file, -ENOENT when it
 * cannot be read, -ENOMEM.
 */
int vmc_config_read(const char *path, enum vmc_config_purpose purpose,
		    struct vmc_config **ret_config,
		    char ret_complaint[VMC_COMPLAINT_BYTES])
{
	cfg_opt_t keys[] = {
		CFG_STR("control", DEFAULT_CONTROL, CFGF_NONE),
		CFG_STR("log_level", "info", CFGF_NONE),
		CFG_STR("user", "", CFGF_NONE),
		CFG_BOOL("sandbox", cfg_true, CFGF_NONE),
		CFG_STR("socket_owner", "", CFGF_NONE),
		CFG_STR("socket_group", "", CFGF_NONE),
		CFG_STR("socket_mode", "0660", CFGF_NONE),
		VMC_CONFIG_LIMITS(0),
		CFG_SEC("network", vmc_config_network_keys, CFGF_MULTI |
			CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_SEC("vm", vmc_config_vm_keys, CFGF_MULTI | CFGF_TITLE |
			CFGF_NO_TITLE_DUPES),
		CFG_SEC("endpoint", vmc_config_endpoint_keys, CFGF_MULTI |
			CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_SEC("uplink", vmc_config_uplink_keys, CFGF_MULTI),
		VMC_CONFIG_WORDS("publish", NULL, vmc_config_check_publish),
		CFG_SEC("proxy", vmc_config_proxy_keys, CFGF_MULTI |
			CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_SEC("rule", vmc_config_rule_keys, CFGF_MULTI |
			CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_END(),
	};
	struct vmc_config *config;
	cfg_t *cfg;
	int error;

	complaint = ret_complaint;
	snprintf(complaint, VMC_COMPLAINT_BYTES, "%s", "");
	config = calloc(1, sizeof(*config));
	cfg = cfg_init(keys, CFGF_NONE);
	error = -ENOMEM;
	if (!cfg || !config)
		goto free_both;
	cfg_set_error_function(cfg, take_error);
	set_checks(cfg, purpose);
	error = parse(cfg, path, purpose);
	if (!error)
		error = copy(cfg, path, purpose, config);
free_both:
	if (error && !*complaint)
		snprintf(complaint, VMC_COMPLAINT_BYTES, "%s: %s", path,
			 strerror(-error));
	if (cfg)
		cfg_free(cfg);
	if (error)
		vmc_config_free(config);
	else
		*ret_config = config;
	return error;
}

/**
 * vmc_config_free - free a configuration
 * @config: from vmc_config_read(), or NULL
 */
void vmc_config_free(struct vmc_config *config)
{
	unsigned int i;

	if (!config)
		return;
	for (i = 0; i < config->nr_vms + config->nr_endpoints; i++) {
		free(config->vms[i].socket);
		vmc_config_free_access(&config->vms[i].access);
	}
	free(config->vms);
	free(config->networks);
	for (i = 0; i < config->nr_publishes; i++)
		free(config->publishes[i].text);
	free(config->publishes);
	vmc_policy_free(config->policy);
	free(config->path);
	free(config->control);
	free(config->log_level);
	free(config->user);
	free(config);
}
