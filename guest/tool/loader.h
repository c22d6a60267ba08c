/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_TOOL_LOADER_H
#define VMC_TOOL_LOADER_H

#include <stdbool.h>
#include "guest/tool/redirect.h"

int vmc_redirect_pin(const char *cgroup);
int vmc_redirect_unpin(void);
int vmc_redirect_read(bool *ret_on, struct vmc_redirect_config *ret_config);
int vmc_redirect_hold(const char *cgroup, int *ret_fd);
bool vmc_redirect_is_possible(void);

#endif /* VMC_TOOL_LOADER_H */
