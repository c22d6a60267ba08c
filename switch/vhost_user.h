/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_VHOST_USER_H
#define VMC_SWITCH_VHOST_USER_H

#include "switch/guest_memory.h"
#include "switch/loop.h"
#include "switch/save.h"
#include "switch/vhost_user_receive.h"
#include "switch/virtqueue.h"
#include "switch/window.h"

struct vmc_vhost_user;

/* Calls upwards. None may free the connection. */
struct vmc_vhost_user_ops {
	/* A queue became usable or unusable. */
	void (*queues_changed)(struct vmc_vhost_user *connection);
	/* The guest says that a queue has new entries. */
	void (*kicked)(struct vmc_vhost_user *connection, unsigned int queue);
	/* The connection is of no use any more; @is_fault: somebody lied. */
	void (*ended)(struct vmc_vhost_user *connection, bool is_fault,
		      const char *why);
};

struct vmc_kick_watch {
	struct vmc_watch watch;
	struct vmc_vhost_user *connection;
	unsigned int queue;
};

/* One hypervisor's connection and the device behind it. */
struct vmc_vhost_user {
	/* Fixed after creation. */
	struct vmc_loop *loop;
	const struct vmc_vhost_user_ops *ops;

	struct vmc_watch socket;
	struct vmc_vhost_user_message message;
	uint64_t features;
	uint64_t protocol_features;
	struct vmc_guest_memory memory;
	struct vmc_window window;
	struct vmc_virtqueue queues[VMC_NR_QUEUES];
	struct vmc_kick_watch kicks[VMC_NR_QUEUES];
	struct vmc_save save;
	char why[128];		/* text for ended() */
};

void vmc_vhost_user_init(struct vmc_vhost_user *connection,
			 struct vmc_loop *loop,
			 const struct vmc_vhost_user_ops *ops);
int vmc_vhost_user_open(struct vmc_vhost_user *connection, const char *vm,
			int fd);
void vmc_vhost_user_close(struct vmc_vhost_user *connection);
bool vmc_vhost_user_is_open(const struct vmc_vhost_user *connection);
bool vmc_vhost_user_is_hung_up(const struct vmc_vhost_user *connection);
bool vmc_vhost_user_can_use(const struct vmc_vhost_user *connection,
			    unsigned int queue);

#endif /* VMC_SWITCH_VHOST_USER_H */
