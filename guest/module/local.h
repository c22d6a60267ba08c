/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_LOCAL_H
#define VMC_LOCAL_H

#include <linux/types.h>

struct vmc_name;

int vmc_local_init(void);
void vmc_local_exit(void);
bool vmc_local_is(const struct vmc_name *name);

#endif /* VMC_LOCAL_H */
