/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_TERMINAL_H
#define VMC_SWITCH_TERMINAL_H

#include "lib/end.h"
#include "switch/dial.h"
#include "switch/trunk.h"

struct vmc_terminal;
struct vmc_vm;

/* What a trunk and the answers of its VM call. */
struct vmc_terminal_ops {
	/* The link is up; who waited for that goes on. May be NULL. */
	void (*link_up)(struct vmc_terminal *terminal);
	/* The guest rang for the circuit. */
	void (*look)(struct vmc_terminal *terminal);
	/* The guest's answer to an OFFER. */
	void (*accepted)(struct vmc_terminal *terminal);
	void (*refused)(struct vmc_terminal *terminal);
	/* CLOSE came: the guest touches the rings no more. */
	void (*guest_closed)(struct vmc_terminal *terminal);
	/* The VM is gone: end as soon as nothing is under way. */
	void (*abort)(struct vmc_terminal *terminal);
	/* Be freed at once: nothing is under way. */
	void (*destroy)(struct vmc_terminal *terminal);
};

/*
 * Who has the uplink's end of one circuit. Embedded in its owner, which is on
 * the trunk before it has a circuit and until it is freed.
 */
struct vmc_terminal {
	const struct vmc_terminal_ops *ops;
	struct vmc_trunk *trunk;
	TAILQ_ENTRY(vmc_terminal) of_trunk;

	bool has_slot;			/* these are valid */
	uint32_t slot;
	struct vmc_end end;
};

void vmc_terminal_enter(struct vmc_terminal *terminal,
			struct vmc_trunk *trunk,
			const struct vmc_terminal_ops *ops);
struct vmc_trunk *vmc_terminal_leave(struct vmc_terminal *terminal);
struct vmc_vm *vmc_terminal_vm(const struct vmc_terminal *terminal);
struct vmc_circuit *vmc_terminal_circuit(const struct vmc_terminal *terminal);
int vmc_terminal_answer(struct vmc_terminal *terminal, struct vmc_dial *dial);
int vmc_terminal_offer(struct vmc_terminal *terminal,
		       const struct vmc_name *vm_name,
		       const struct vmc_name *remote, bool is_datagram,
		       const uint32_t wishes[2], uint32_t listener);
void vmc_terminal_reset(struct vmc_terminal *terminal, int error);
void vmc_terminal_count_lie(struct vmc_terminal *terminal);
void vmc_terminal_ring(struct vmc_terminal *terminal, bool is_wanted);

#endif /* VMC_SWITCH_TERMINAL_H */
