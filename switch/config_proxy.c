// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The proxies of the configuration: sections proxy, which rules name. No
 * message shows a password. Called by config.c and config_policy.c.
 */
#include <string.h>

#include "switch/config_part.h"
#include "switch/value.h"

static int keep_proxy_address(cfg_t *cfg, cfg_opt_t *opt, const char *value,
			      void *result)
{
	struct vmc_name name;

	if (!vmc_value_name(value, &name) && vmc_value_is_unicast(&name))
		return vmc_config_keep_word(cfg, opt, value, result);
	vmc_config_complain(cfg, "%s: \"%s\" is not like 192.0.2.9:1080 or [2001:db8::9]:1080",
			    opt->name, value);
	return -1;
}

/* A user or a password. */
static int keep_secret(cfg_t *cfg, cfg_opt_t *opt, const char *value,
		       void *result)
{
	size_t bytes = strlen(value);

	if (bytes && bytes < VMC_SOCKS5_TEXT_BYTES)
		return vmc_config_keep_word(cfg, opt, value, result);
	vmc_config_complain(cfg, "%s: it has %zu bytes; SOCKS5 takes 1 to %d",
			    opt->name, bytes, VMC_SOCKS5_TEXT_BYTES - 1);
	return -1;
}

cfg_opt_t vmc_config_proxy_keys[] = {
	VMC_CONFIG_WORD("address", keep_proxy_address),
	VMC_CONFIG_WORD("user", keep_secret),
	VMC_CONFIG_WORD("password", keep_secret),
	CFG_END(),
};

/**
 * vmc_config_check_title - check the name of a rule or proxy
 * @cfg: the file
 * @key: what it names, for the message
 * @section: the section
 *
 * Return: 0, or -1 when there is a mistake, which is told.
 */
int vmc_config_check_title(cfg_t *cfg, const char *key, cfg_t *section)
{
	const char *name = cfg_title(section);
	size_t bytes = strlen(name), i;

	for (i = 0; i < bytes; i++) {
		if (name[i] < ' ' || name[i] > '~' || name[i] == '"' ||
		    name[i] == '\\')
			break;
	}
	if (bytes && bytes < VMC_NAME_BYTES && i == bytes &&
	    *name != ' ' && name[bytes - 1] != ' ')
		return 0;
	vmc_config_complain(cfg, "%s: the name \"%s\" must have 1 to %d letters, digits, signs or inner blanks, all ASCII, no quotes or backslashes",
			    key, name, VMC_NAME_BYTES - 1);
	return -1;
}

/* Called at the end of each proxy section. */
static int check_proxy(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *proxy = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	const char *name = cfg_title(proxy);

	if (vmc_config_check_title(cfg, opt->name, proxy))
		return -1;
	if (!vmc_config_word(proxy, "address"))
		vmc_config_complain(cfg, "proxy \"%s\": the key address is missing",
				    name);
	else if (!vmc_config_word(proxy, "user") &&
		 vmc_config_word(proxy, "password"))
		vmc_config_complain_at(cfg, vmc_config_word(proxy, "password")
				       ->line,
				       "password: proxy \"%s\" has a password without a user",
				       name);
	else if (vmc_config_word(proxy, "user") &&
		 !vmc_config_word(proxy, "password"))
		vmc_config_complain_at(cfg, vmc_config_word(proxy, "user")
				       ->line,
				       "user: proxy \"%s\" has a user without a password",
				       name);
	else
		return 0;
	return -1;
}

/**
 * vmc_config_set_proxy_checks - have proxies checked
 * @cfg: the file
 */
void vmc_config_set_proxy_checks(cfg_t *cfg)
{
	cfg_set_validate_func(cfg, "proxy", check_proxy);
}

/**
 * vmc_config_copy_proxy - take over a proxy from a file
 * @cfg: the file, read
 * @name: of the proxy
 * @ret_proxy: the proxy
 *
 * Return: 0, or -1 when there is none of that name.
 */
int vmc_config_copy_proxy(cfg_t *cfg, const char *name,
			  struct vmc_proxy *ret_proxy)
{
	cfg_t *section = cfg_gettsec(cfg, "proxy", name);

	if (!section)
		return -1;
	memset(ret_proxy, 0, sizeof(*ret_proxy));
	vmc_value_name(vmc_config_text(section, "address"), &ret_proxy->name);
	ret_proxy->has_password = vmc_config_word(section, "password");
	strcpy(ret_proxy->user, vmc_config_text(section, "user"));
	strcpy(ret_proxy->password, vmc_config_text(section, "password"));
	return 0;
}
