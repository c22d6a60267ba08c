/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_VIRTQUEUE_H
#define VMC_SWITCH_VIRTQUEUE_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"
#include "switch/guest_memory.h"

/* Addresses of a queue's three parts in the hypervisor. */
struct vmc_virtqueue_place {
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
};

/*
 * One split virtqueue, served by the switch. The counters are the switch's
 * own; what stands in the guest's memory is read once and checked, or only
 * written.
 */
struct vmc_virtqueue {
	/* Set by the hypervisor, see vhost_user.c. */
	unsigned int nr_entries;	/* power of two, 0: not set */
	struct vmc_virtqueue_place place;
	bool has_place;
	bool is_enabled;
	int call_fd;			/* -1: none */

	/* NULL while the queue cannot be used. */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;

	uint16_t avail_cons;		/* avail entries ever taken */
	uint16_t used_prod;		/* used entries ever given back */
	bool must_signal;		/* gave back since the last signal */
};

#define VMC_VIRTQUEUE_MAX_PARTS	8

/* A descriptor chain that was taken and checked. */
struct vmc_chain {
	uint16_t head;
	bool is_writable;
	unsigned int nr_parts;
	size_t bytes;		/* of all parts */
	struct {
		uint8_t *at;
		size_t bytes;
	} parts[VMC_VIRTQUEUE_MAX_PARTS];
};

int vmc_virtqueue_map(struct vmc_virtqueue *queue,
		      const struct vmc_guest_memory *memory);
void vmc_virtqueue_unmap(struct vmc_virtqueue *queue);
int vmc_virtqueue_pop(struct vmc_virtqueue *queue,
		      const struct vmc_guest_memory *memory,
		      struct vmc_chain *ret_chain);
size_t vmc_chain_read(const struct vmc_chain *chain, void *to, size_t bytes);
void vmc_chain_write(const struct vmc_chain *chain, const void *from,
		     size_t bytes);
void vmc_virtqueue_push(struct vmc_virtqueue *queue,
			const struct vmc_chain *chain, uint32_t bytes);
void vmc_virtqueue_set_notify(struct vmc_virtqueue *queue, bool is_wanted);
void vmc_virtqueue_signal(struct vmc_virtqueue *queue);

#endif /* VMC_SWITCH_VIRTQUEUE_H */
