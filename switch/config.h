/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_CONFIG_H
#define VMC_SWITCH_CONFIG_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/wire.h"
#include "switch/policy.h"
#include "switch/unix_socket.h"

struct vmc_config_network {
	char name[VMC_NAME_BYTES];
	bool is_isolated;	/* its VMs reach only themselves */
};

/* Whose address a VM's connections to the outside come from. */
enum vmc_config_source {
	VMC_SOURCE_NAT,		/* the host's */
	VMC_SOURCE_ROUTED,	/* the VM's own, which is routed to the host */
};

/* What one VM may use at once. 0: as much as it likes. */
struct vmc_config_limits {
	uint32_t circuits;
	uint64_t memory_bytes;		/* of rings, both directions */
	uint32_t connects_per_second;
};

/* Who may be an endpoint. */
struct vmc_config_access {
	unsigned int max_processes;
	unsigned int nr_users;
	unsigned int nr_groups;
	uid_t *users;
	gid_t *groups;
	char *text;		/* as configured, to be compared */
};

/* A VM, or an endpoint: host processes that have addresses as VMs do. */
struct vmc_config_vm {
	char name[VMC_NAME_BYTES];
	bool is_endpoint;
	char *socket;
	char network[VMC_NAME_BYTES];
	unsigned int nr_addresses;
	struct vmc_address addresses[VMC_MAX_ADDRESSES];
	enum vmc_config_source source;
	struct vmc_config_limits limits;
	struct vmc_config_access access;	/* of an endpoint */
};

/* A port of the host that leads to a VM's. */
struct vmc_config_publish {
	enum vmc_protocol protocol;
	struct vmc_name host;
	unsigned int vm;	/* index into vms */
	struct vmc_name guest;	/* the VM's address of host's family */
	char *text;		/* as configured, for messages */
};

/* The way to the outside. */
struct vmc_config_uplink {
	bool is_enabled;
	unsigned int nr_resolvers;
	struct vmc_address resolvers[VMC_MAX_RESOLVERS];	/* prefix 0 */
	/* Names of the host's loopback, for guests; one a family at most. */
	unsigned int nr_host_addresses;
	struct vmc_address host_addresses[2];			/* prefix 0 */
	uint32_t zero_copy_bytes;	/* from this size on; 0: never */
};

/* Everything in the configuration file, checked. */
struct vmc_config {
	char *path;		/* of the file, absolute */
	char *control;		/* path of the control socket */
	char *log_level;
	char *user;		/* to run as, or NULL */
	bool is_sandboxed;	/* seccomp */
	struct vmc_socket_rights vm_sockets;
	unsigned int nr_networks;
	struct vmc_config_network *networks;
	unsigned int nr_vms;
	unsigned int nr_endpoints;
	struct vmc_config_vm *vms;	/* the VMs, then the endpoints */
	struct vmc_config_uplink uplink;
	unsigned int nr_publishes;
	struct vmc_config_publish *publishes;
	/* Is replaced by a reload; everything else stays as it is. */
	struct vmc_policy *policy;
};

/* What a file is read for. */
enum vmc_config_purpose {
	VMC_CONFIG_START,
	/*
	 * Without privileges and the system calls of a name service: users
	 * and groups are not looked for, the file must be a regular one.
	 */
	VMC_CONFIG_RELOAD,
};

/* Room for what is wrong with a file: "FILE:LINE: key: …", without newline. */
#define VMC_COMPLAINT_BYTES	1024

int vmc_config_read(const char *path, enum vmc_config_purpose purpose,
		    struct vmc_config **ret_config,
		    char ret_complaint[VMC_COMPLAINT_BYTES]);
bool vmc_config_vm_owns(const struct vmc_config_vm *vm,
			const struct vmc_name *name);
const struct vmc_config_vm *
vmc_config_find_owner(const struct vmc_config *config,
		      const struct vmc_name *name);
void vmc_config_free(struct vmc_config *config);

#endif /* VMC_SWITCH_CONFIG_H */
