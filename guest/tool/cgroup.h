/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_TOOL_CGROUP_H
#define VMC_TOOL_CGROUP_H

#include <stddef.h>

int vmc_cgroup_find(const char *path, char *ret_path, size_t path_bytes);
int vmc_cgroup_make(char *ret_path, size_t path_bytes);
int vmc_cgroup_enter(const char *path);
void vmc_cgroup_remove(const char *path);

#endif /* VMC_TOOL_CGROUP_H */
