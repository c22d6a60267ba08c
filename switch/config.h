/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_CONFIG_H
#define VMC_SWITCH_CONFIG_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/wire.h"

struct vmc_config_network {
	char name[VMC_NAME_BYTES];
	bool is_isolated;	/* its VMs reach only themselves */
};

struct vmc_config_vm {
	char name[VMC_NAME_BYTES];
	char *socket;
	char network[VMC_NAME_BYTES];
	unsigned int nr_addresses;
	struct vmc_address addresses[VMC_MAX_ADDRESSES];
};

/* Everything in the configuration file, checked. */
struct vmc_config {
	char *control;		/* path of the control socket */
	char *log_level;
	char *user;		/* to run as, or NULL */
	bool is_sandboxed;	/* seccomp */
	/* Of the VMs' sockets; -1: as created. */
	uid_t socket_owner;
	gid_t socket_group;
	mode_t socket_mode;
	unsigned int nr_networks;
	struct vmc_config_network *networks;
	unsigned int nr_vms;
	struct vmc_config_vm *vms;
};

int vmc_config_read(const char *path, struct vmc_config **ret_config);
void vmc_config_free(struct vmc_config *config);

#endif /* VMC_SWITCH_CONFIG_H */
