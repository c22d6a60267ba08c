/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_TOOL_MODULE_H
#define VMC_TOOL_MODULE_H

#include <stdbool.h>
#include <stdint.h>
#include "proto/limits.h"

#define VMC_COUNTER_NAME_BYTES	48
#define VMC_MAX_COUNTERS	256

enum vmc_module_state {
	VMC_MODULE_ABSENT,	/* not loaded, or no such device */
	VMC_MODULE_WAITING,	/* the switch has not said hello yet */
	VMC_MODULE_ATTACHED,
	VMC_MODULE_LOST,	/* was attached, the switch went away */
};

/* One address with its prefix, as the switch gave it. */
struct vmc_module_address {
	int family;		/* AF_INET or AF_INET6 */
	uint8_t address[16];	/* network order */
	uint8_t prefix;		/* bits */
};

struct vmc_module_status {
	bool loaded;
	enum vmc_module_state state;
	char name[VMC_NAME_BYTES];
	char epoch[32];
	unsigned int nr_addresses;
	struct vmc_module_address addresses[VMC_MAX_ADDRESSES];
	bool has_uplink;	/* the switch leads to the outside */
	bool has_uplink_datagrams;	/* datagrams, too */
	unsigned int nr_resolvers;
	struct vmc_module_address resolvers[VMC_MAX_RESOLVERS];
};

struct vmc_counter {
	char name[VMC_COUNTER_NAME_BYTES];
	uint64_t value;
};

int vmc_module_load(bool *ret_loaded_now);
int vmc_module_unload(void);
int vmc_module_read_status(struct vmc_module_status *ret_status);
int vmc_module_wait(unsigned int timeout_ms,
		    struct vmc_module_status *ret_status);
int vmc_module_read_counters(struct vmc_counter *ret_counters);
const char *vmc_module_state_name(enum vmc_module_state state);

#endif /* VMC_TOOL_MODULE_H */
