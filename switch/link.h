/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_LINK_H
#define VMC_SWITCH_LINK_H

#include "switch/buddy.h"
#include "switch/circuit.h"
#include "switch/vm.h"

struct vmc_porter;
struct vmc_trunk;
struct vmc_uplink;

enum vmc_link_state {
	VMC_LINK_MAPPING,	/* not all segments are in the windows */
	VMC_LINK_UP,		/* LINK_UP was sent to both */
	VMC_LINK_DOWN,		/* one end is gone, the other must release */
};

/* The uplink's end of a link to it; the VM's is 0. */
#define VMC_UPLINK_END	1U

struct vmc_link_end {
	struct vmc_vm *vm;		/* NULL: gone, or the uplink */
	uint32_t id;			/* as this VM calls the link */
	uint32_t generation;
	/* Of the segment this end writes, and of the other; NULL: none. */
	struct vmc_mapping *tx;
	struct vmc_mapping *rx;
};

struct vmc_link_ops {
	/* LINK_UP was sent. */
	void (*up)(struct vmc_link *link);
	/* Before the link is destroyed because a mapping failed. */
	void (*failed)(struct vmc_link *link);
};

/*
 * Two VMs that talk, or the two ends of one VM's talk to itself: then both
 * ends have the same VM and end 0 holds the two mappings. Or a VM and the
 * uplink, whose end has a trunk instead of a VM.
 *
 * A host process is a VM without mappings. When it leaves, the link stays up
 * until its peer has read what was sent, and closed each circuit.
 */
struct vmc_link {
	enum vmc_link_state state;
	struct vmc_trunk *trunk;	/* NULL: between VMs */
	struct vmc_porter *porter;	/* NULL: unless a guest and a process */
	const struct vmc_link_ops *ops;
	unsigned int nr_unmapped;	/* answers that are missing */
	struct vmc_link_end ends[2];
	struct vmc_segment segments[2];	/* [i] is written by end i */
	struct vmc_segment wake_area;	/* if an end is a process */
	TAILQ_HEAD(, vmc_dial) dials;	/* that wait for the link */
	struct vmc_buddy rings[2];	/* of segments[i] */
	struct vmc_circuit_table circuits;
};

int vmc_link_create(struct vmc_vm *a, struct vmc_vm *b,
		    const struct vmc_link_ops *ops,
		    struct vmc_link **ret_link);
int vmc_link_create_to_uplink(struct vmc_vm *vm, struct vmc_uplink *uplink,
			      const struct vmc_link_ops *ops,
			      struct vmc_link **ret_link);
struct vmc_link *vmc_link_find(const struct vmc_vm *a,
			       const struct vmc_vm *b,
			       unsigned int *ret_end);
struct vmc_link *vmc_link_find_to_uplink(const struct vmc_vm *vm);
void vmc_link_leave(struct vmc_link *link, struct vmc_vm *vm);
void vmc_link_end_if_over(struct vmc_link *link);
void vmc_link_depart(struct vmc_link *link, struct vmc_vm *vm);
void vmc_link_let_go(struct vmc_link *link);
void vmc_link_release(struct vmc_link *link);
bool vmc_link_is_self(const struct vmc_link *link);
bool vmc_link_has_process(const struct vmc_link *link);
const char *vmc_link_peer_name(const struct vmc_link *link, unsigned int end);

/* slot.c */
int vmc_link_open_circuit(struct vmc_link *link, const uint32_t wishes[2],
			  bool is_hub, uint32_t *ret_slot);
void vmc_link_charge(struct vmc_link *link, uint32_t slot, int sign);
void vmc_link_offer(struct vmc_link *link, unsigned int end, uint32_t slot,
		    uint32_t listener);
void vmc_link_step(struct vmc_link *link, unsigned int end, uint32_t slot,
		   enum vmc_event event);
void vmc_link_close_if_over(struct vmc_link *link, uint32_t slot);

#endif /* VMC_SWITCH_LINK_H */
