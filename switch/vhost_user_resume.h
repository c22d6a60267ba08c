/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_VHOST_USER_RESUME_H
#define VMC_SWITCH_VHOST_USER_RESUME_H

#include "switch/vhost_user_vring.h"

int vmc_vhost_user_resume(struct vmc_vhost_user *connection, const char *vm);

#endif /* VMC_SWITCH_VHOST_USER_RESUME_H */
