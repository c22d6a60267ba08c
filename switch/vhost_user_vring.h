/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_VHOST_USER_VRING_H
#define VMC_SWITCH_VHOST_USER_VRING_H

#include "switch/vhost_user.h"

/* In vhost_user.c, for its parts. */
int vmc_vhost_user_refuse(struct vmc_vhost_user *connection, const char *what,
			  uint64_t value);
int vmc_vhost_user_reply(struct vmc_vhost_user *connection,
			 const struct vmc_vhost_user_message *message,
			 const void *body, size_t bytes);

int vmc_vhost_user_watch(struct vmc_vhost_user *connection, int fd);

int vmc_vring_update(struct vmc_vhost_user *connection, unsigned int queue);
void vmc_vring_remap(struct vmc_vhost_user *connection);
void vmc_vring_stop(struct vmc_vhost_user *connection, unsigned int queue);

/* Handlers of the messages of these names. */
int vmc_vring_set_num(struct vmc_vhost_user *connection,
		      struct vmc_vhost_user_message *message);
int vmc_vring_set_addr(struct vmc_vhost_user *connection,
		       struct vmc_vhost_user_message *message);
int vmc_vring_set_base(struct vmc_vhost_user *connection,
		       struct vmc_vhost_user_message *message);
int vmc_vring_get_base(struct vmc_vhost_user *connection,
		       struct vmc_vhost_user_message *message);
int vmc_vring_set_kick(struct vmc_vhost_user *connection,
		       struct vmc_vhost_user_message *message);
int vmc_vring_set_call(struct vmc_vhost_user *connection,
		       struct vmc_vhost_user_message *message);
int vmc_vring_set_err(struct vmc_vhost_user *connection,
		      struct vmc_vhost_user_message *message);
int vmc_vring_set_enable(struct vmc_vhost_user *connection,
			 struct vmc_vhost_user_message *message);

#endif /* VMC_SWITCH_VHOST_USER_VRING_H */
