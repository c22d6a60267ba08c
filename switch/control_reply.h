/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_CONTROL_REPLY_H
#define VMC_SWITCH_CONTROL_REPLY_H

#include <json-c/json.h>

#include "switch/broker.h"

enum vmc_control_command {
	VMC_CONTROL_LIST,
	VMC_CONTROL_SHOW,
	VMC_CONTROL_STATS,
	VMC_CONTROL_POLICY_LIST,
	VMC_CONTROL_POLICY_RELOAD,
	VMC_CONTROL_POLICY_TEST,
};

/*
 * An answer on its way out, one line at a time: where the last line left off.
 * What comes and goes meanwhile may be missed, nothing is told twice.
 */
struct vmc_control_reply {
	enum vmc_control_command command;
	bool is_one_vm;		/* vm is the only one */
	unsigned int vm;	/* index of the VM to tell of next */
	unsigned int part;	/* of a VM: itself, listeners, links, circuits */
	uint32_t major;		/* bucket of listeners, link, or rule */
	uint32_t minor;		/* listener in the bucket, or slot */
	struct vmc_policy_query query;	/* what policy-test asks of vm */
	bool is_over;
};

int vmc_control_parse(const struct vmc_broker *broker, const char *raw_line,
		      size_t bytes, struct vmc_control_reply *ret_reply,
		      const char **ret_complaint);
struct json_object *vmc_control_next(struct vmc_broker *broker,
				     struct vmc_control_reply *reply);

#endif /* VMC_SWITCH_CONTROL_REPLY_H */
