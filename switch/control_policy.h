/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_CONTROL_POLICY_H
#define VMC_SWITCH_CONTROL_POLICY_H

#include "switch/control_reply.h"

int vmc_control_policy_read(struct json_object *request,
			    struct vmc_control_reply *reply,
			    const char **ret_complaint);
struct json_object *vmc_control_policy_next(struct vmc_broker *broker,
					    struct vmc_control_reply *reply);

#endif /* VMC_SWITCH_CONTROL_POLICY_H */
