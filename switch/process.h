/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_PROCESS_H
#define VMC_SWITCH_PROCESS_H

#include "switch/vm.h"

extern const struct vmc_carrier vmc_process_carrier;

int vmc_process_connect(struct vmc_vm *vm, int fd, pid_t pid);

#endif /* VMC_SWITCH_PROCESS_H */
