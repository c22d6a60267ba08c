/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_GUEST_H
#define VMC_SWITCH_GUEST_H

#include "switch/vm.h"

extern const struct vmc_carrier vmc_guest_carrier;

int vmc_guest_listen(struct vmc_vm *vm, const struct vmc_config *config);
void vmc_guest_unlisten(struct vmc_vm *vm);
void vmc_guest_resume(struct vmc_vm *vm);

#endif /* VMC_SWITCH_GUEST_H */
