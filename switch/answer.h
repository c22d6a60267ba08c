/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_ANSWER_H
#define VMC_SWITCH_ANSWER_H

#include "switch/link.h"

void vmc_answer(struct vmc_vm *vm, unsigned int type,
		const struct vmc_circuit_id *raw_id, uint32_t raw_detail);
void vmc_answer_dial(struct vmc_link *link, uint32_t slot);
void vmc_answer_establish(struct vmc_link *link, unsigned int end,
			  uint32_t slot);
void vmc_answer_leave(struct vmc_vm *vm);

#endif /* VMC_SWITCH_ANSWER_H */
