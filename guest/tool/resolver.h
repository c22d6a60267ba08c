/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_TOOL_RESOLVER_H
#define VMC_TOOL_RESOLVER_H

#include <stdbool.h>
#include "guest/tool/module.h"

#define VMC_RESOLVER_FILE	"/run/vmcircuit/resolv.conf"

int vmc_resolver_write(const struct vmc_module_address *resolvers,
		       unsigned int nr_resolvers, bool has_datagrams);
int vmc_resolver_clear(void);
bool vmc_resolver_is_used(void);

#endif /* VMC_TOOL_RESOLVER_H */
