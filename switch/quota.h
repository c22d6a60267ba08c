/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_QUOTA_H
#define VMC_SWITCH_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

struct vmc_vm;

/* What a VM used of its connects per second. All zero at first. */
struct vmc_quota {
	uint64_t second_began_ms;
	uint32_t nr_connects;
};

bool vmc_quota_has_room(struct vmc_vm *vm);
bool vmc_quota_may_take(struct vmc_vm *vm);
int vmc_quota_take_connect(struct vmc_vm *vm);

#endif /* VMC_SWITCH_QUOTA_H */
