/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_VALUE_H
#define VMC_SWITCH_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"
#include "switch/policy.h"

int vmc_value_address(const char *text, struct vmc_name *ret_name);
int vmc_value_name(const char *text, struct vmc_name *ret_name);
int vmc_value_network(const char *text, struct vmc_address *ret_network);
int vmc_value_ports(const char *text, struct vmc_port_range *ret_ports);
bool vmc_value_is_unicast(const struct vmc_name *name);

#endif /* VMC_SWITCH_VALUE_H */
