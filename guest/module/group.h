/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_GROUP_H
#define VMC_GROUP_H

#include <linux/in6.h>
#include <linux/types.h>

struct vmc_ctl;

bool vmc_group_is_broadcast(__be32 address);
bool vmc_group_is_joined(__be32 address);
bool vmc_group_is_joined6(const struct in6_addr *address);
void vmc_group_write(struct vmc_ctl *own);

#endif /* VMC_GROUP_H */
