/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_KEEPER_CHILD_H
#define VMC_KEEPER_CHILD_H

#include <sys/types.h>

struct vmc_store;

pid_t vmc_child_start(char *const argv[], const struct vmc_store *store,
		      const char *notify_path);

#endif /* VMC_KEEPER_CHILD_H */
