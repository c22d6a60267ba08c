/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_CIRCUIT_H
#define VMC_SWITCH_CIRCUIT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/state.h"
#include "proto/wire.h"

/* A freed slot rests until this many others were freed after it. */
#define VMC_SLOT_REST		64

struct vmc_dial;
struct vmc_terminal;
struct vmc_wire;

/* One circuit. Its ends are numbered as those of its link. */
struct vmc_circuit {
	uint32_t generation;		/* 0: the slot was never used */
	uint32_t next_free;
	enum vmc_state states[2];	/* both FREE: not in use */
	unsigned int dialler;		/* the end that dialled */
	uint32_t listener;		/* of the other; 0: a datagram circuit */
	bool is_datagram;
	bool is_hub;			/* a VM's to the hub */
	struct vmc_dial *dial;		/* while a VM is CONNECTING to a VM */
	struct vmc_terminal *terminal;	/* while the uplink has its end */
	struct vmc_wire *wire;		/* while a process has an end */
	uint64_t offsets[2];		/* of the ring that the end writes */
	uint32_t bytes[2];
	struct vmc_name names[2];	/* of each end */
	uint64_t opened_ms;
};

/* The circuits of one link. */
struct vmc_circuit_table {
	uint32_t nr_open;
	uint32_t nr_fresh;	/* slots that were ever used */
	uint32_t nr_resting;	/* freed slots, oldest first */
	uint32_t oldest;
	uint32_t newest;
	struct vmc_circuit circuits[VMC_SLOTS_PER_LINK];
};

enum vmc_circuit_claim {
	VMC_CLAIM_GOOD,
	VMC_CLAIM_STALE,	/* existed once: messages crossed */
	VMC_CLAIM_LIE,		/* never existed */
};

void vmc_circuit_step(struct vmc_circuit *circuit, unsigned int end,
		      enum vmc_event event);
int vmc_circuit_take(struct vmc_circuit_table *table, uint32_t *ret_slot);
void vmc_circuit_give(struct vmc_circuit_table *table, uint32_t slot);
enum vmc_circuit_claim
vmc_circuit_find(struct vmc_circuit_table *table, uint32_t raw_slot,
		 uint32_t raw_generation, struct vmc_circuit **ret_circuit);

#endif /* VMC_SWITCH_CIRCUIT_H */
