/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the configuration share: each is libconfuse's keys of some
 * sections, their checks while the file is read, and a copy of what was read,
 * with the checks that need the whole file. Included by config*.c only.
 */
#ifndef VMC_SWITCH_CONFIG_PART_H
#define VMC_SWITCH_CONFIG_PART_H

#include <confuse.h>
#include <stdlib.h>

#include "switch/config.h"

/* A string of the file and where it stands. */
struct vmc_config_word {
	int line;
	char text[];
};

/* Keys whose strings are words; a list that was not given is { "*" }. */
#define VMC_CONFIG_WORD(name, check) \
	CFG_PTR_CB(name, NULL, CFGF_NODEFAULT, check, free)
#define VMC_CONFIG_WORDS(name, unless_given, check) \
	CFG_PTR_LIST_CB(name, unless_given, CFGF_NONE, check, free)
#define VMC_CONFIG_ALL	"*"

/* config.c */
void vmc_config_complain(cfg_t *cfg, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void vmc_config_complain_at(cfg_t *cfg, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int vmc_config_keep_word(cfg_t *cfg, cfg_opt_t *opt, const char *value,
			 void *result);
const struct vmc_config_word *vmc_config_word(cfg_t *cfg, const char *key);
const char *vmc_config_text(cfg_t *cfg, const char *key);

/* The network of who names none. */
#define VMC_CONFIG_NETWORK	"default"
/* A limit that was not given: the top level's counts. */
#define VMC_CONFIG_AS_ALL	-1
/* What a VM, an endpoint or, at the top level, each of them may use at once. */
#define VMC_CONFIG_LIMITS(unless_given) \
	CFG_INT("max_circuits", unless_given, CFGF_NONE), \
	CFG_INT("max_ring_mib", unless_given, CFGF_NONE), \
	CFG_INT("max_connects_per_second", unless_given, CFGF_NONE)

/* config_endpoint.c */
extern cfg_opt_t vmc_config_endpoint_keys[];
void vmc_config_set_endpoint_checks(cfg_t *cfg);
int vmc_config_copy_access(cfg_t *section, enum vmc_config_purpose purpose,
			   struct vmc_config_access *access);
void vmc_config_free_access(struct vmc_config_access *access);

/* config_vm.c */
extern cfg_opt_t vmc_config_network_keys[];
extern cfg_opt_t vmc_config_vm_keys[];
int vmc_config_check_number(cfg_t *cfg, cfg_opt_t *opt);
int vmc_config_check_path(cfg_t *cfg, cfg_opt_t *opt);
void vmc_config_set_vm_checks(cfg_t *cfg);
int vmc_config_copy_vms(cfg_t *cfg, enum vmc_config_purpose purpose,
			struct vmc_config *config);
int vmc_config_find_vm(const struct vmc_config *config, const char *name,
		       unsigned int *ret_vm);

/* config_uplink.c */
extern cfg_opt_t vmc_config_uplink_keys[];
int vmc_config_check_publish(cfg_t *cfg, cfg_opt_t *opt, const char *value,
			     void *result);
void vmc_config_set_uplink_checks(cfg_t *cfg);
int vmc_config_copy_uplink(cfg_t *cfg, struct vmc_config *config);

/* config_proxy.c */
extern cfg_opt_t vmc_config_proxy_keys[];
int vmc_config_check_title(cfg_t *cfg, const char *key, cfg_t *section);
void vmc_config_set_proxy_checks(cfg_t *cfg);
int vmc_config_copy_proxy(cfg_t *cfg, const char *name,
			  struct vmc_proxy *ret_proxy);

/* config_rule.c */
#define VMC_CONFIG_LINE_KEY	"the line of the rule"
extern cfg_opt_t vmc_config_rule_keys[];
void vmc_config_set_rule_checks(cfg_t *cfg);

/* config_policy.c */
int vmc_config_copy_policy(cfg_t *cfg, enum vmc_config_purpose purpose,
			   struct vmc_config *config);

#endif /* VMC_SWITCH_CONFIG_PART_H */
