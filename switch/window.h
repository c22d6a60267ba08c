/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_WINDOW_H
#define VMC_SWITCH_WINDOW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "proto/limits.h"
#include "switch/loop.h"
#include "switch/vhost_user_wire.h"

#define VMC_WINDOW_STRIDES	(VMC_WINDOW_BYTES / VMC_SEGMENT_BYTES)
_Static_assert(VMC_MAX_SEGMENTS <= VMC_WINDOW_STRIDES,
	       "the window is too small for the segments");

/*
 * How long to wait for the hypervisor to announce a mapping that it confirmed,
 * or to withdraw one that it unmapped, ms.
 */
#define VMC_ANNOUNCE_TIMEOUT_MS	500

enum vmc_mapping_state {
	VMC_MAPPING_FREE,
	VMC_MAPPING_WANTED,	/* SHMEM_MAP waits to be sent */
	VMC_MAPPING_ASKED,	/* SHMEM_MAP is sent */
	VMC_MAPPING_CONFIRMED,	/* the hypervisor said yes */
	VMC_MAPPING_USABLE,	/* the guest can see it */
	VMC_MAPPING_UNWANTED,	/* SHMEM_UNMAP waits to be sent */
	VMC_MAPPING_RETURNING,	/* SHMEM_UNMAP is sent */
	VMC_MAPPING_RETURNED,	/* and answered, but not yet withdrawn */
};

/* One stride of the window. */
struct vmc_mapping {
	enum vmc_mapping_state state;
	int fd;			/* borrowed until SHMEM_MAP is sent */
	dev_t device;
	ino_t inode;
	uint64_t bytes;
	bool is_writable;
	bool is_given_up;	/* unmap it once SHMEM_MAP is answered */
	uint64_t since_ms;	/* of the state */

	/* What the hypervisor announced last with ADD_MEM_REG. */
	bool is_announced;
	uint64_t announced_guest;

	/* @error: 0 or -errno; not called once the mapping is given up. */
	void (*done)(struct vmc_mapping *mapping, int error);
	void *owner;
	TAILQ_ENTRY(vmc_mapping) entry;
};

/* The window of one VM and the channel by which the switch fills it. */
struct vmc_window {
	struct vmc_loop *loop;
	struct vmc_watch channel;
	/* The connection must end; @is_fault: somebody lied. */
	void (*broken)(struct vmc_window *window, bool is_fault,
		       const char *why);

	TAILQ_HEAD(, vmc_mapping) waiting;
	struct vmc_mapping *asked;	/* the one request under way */
	bool is_answer_stray;	/* the last run of the switch asked */
	uint32_t *saved_asked;	/* for the next run; NULL: nobody keeps it */
	uint8_t reply[sizeof(struct vhost_user_header) + 8];
	size_t reply_bytes;

	unsigned int nr_mapped;		/* strides that are not free */
	uint64_t nr_requests;
	uint64_t request_us;		/* spent waiting for answers */
	uint64_t asked_us;
	struct vmc_mapping mappings[VMC_WINDOW_STRIDES];
};

void vmc_window_init(struct vmc_window *window, struct vmc_loop *loop,
		     void (*broken)(struct vmc_window *window, bool is_fault,
			    const char *why));
int vmc_window_open(struct vmc_window *window, int fd);
void vmc_window_close(struct vmc_window *window);

int vmc_window_map(struct vmc_window *window, int fd, uint64_t bytes,
		   bool is_writable,
		   void (*done)(struct vmc_mapping *mapping, int error),
		   void *owner, struct vmc_mapping **ret_mapping);
void vmc_window_unmap(struct vmc_window *window, struct vmc_mapping *mapping);
void vmc_window_abandon(struct vmc_window *window);
void vmc_window_restart(struct vmc_window *window);
uint64_t vmc_window_offset(const struct vmc_window *window,
			   const struct vmc_mapping *mapping);

bool vmc_window_announce(struct vmc_window *window, uint64_t raw_guest,
			 uint64_t raw_bytes, int fd);
bool vmc_window_withdraw(struct vmc_window *window, uint64_t raw_guest,
			 uint64_t raw_bytes);
void vmc_window_withdraw_all(struct vmc_window *window);
void vmc_window_tick(struct vmc_window *window, uint64_t now_ms);

#endif /* VMC_SWITCH_WINDOW_H */
