/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_VHOST_USER_RECEIVE_H
#define VMC_SWITCH_VHOST_USER_RECEIVE_H

#include <stddef.h>

#include "switch/vhost_user_wire.h"

/* A message on its way in. All zero before the first. */
struct vmc_vhost_user_message {
	size_t have_bytes;	/* of header and body together */
	struct vhost_user_header header;
	union vhost_user_body body;
	unsigned int nr_fds;
	int fds[VHOST_USER_MAX_FDS];	/* -1 once a handler took one */
};

int vmc_vhost_user_receive(int fd, struct vmc_vhost_user_message *message);
void vmc_vhost_user_forget(struct vmc_vhost_user_message *message);
int vmc_vhost_user_take_fd(struct vmc_vhost_user_message *message,
			   unsigned int i);

#endif /* VMC_SWITCH_VHOST_USER_RECEIVE_H */
