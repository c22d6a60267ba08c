/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_TOOL_LINK_H
#define VMC_TOOL_LINK_H

#include <stdbool.h>
#include "guest/tool/module.h"

#define VMC_LINK_NAME	"circuit0"

int vmc_link_is_up(bool *ret_up);
int vmc_link_configure(const struct vmc_module_address *addresses,
		       unsigned int nr_addresses, bool has_uplink);
int vmc_link_clear(void);

#endif /* VMC_TOOL_LINK_H */
