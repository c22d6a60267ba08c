/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_CONTROL_SERVER_H
#define VMC_SWITCH_CONTROL_SERVER_H

#include "switch/broker.h"

struct vmc_control_server;

int vmc_control_server_create(struct vmc_broker *broker,
			      struct vmc_control_server **ret_server);
void vmc_control_server_destroy(struct vmc_control_server *server);

#endif /* VMC_SWITCH_CONTROL_SERVER_H */
