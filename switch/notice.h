/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_NOTICE_H
#define VMC_SWITCH_NOTICE_H

#include "switch/link.h"

void vmc_notice_offer(struct vmc_link *link, unsigned int end, uint32_t slot,
		      uint32_t listener);
void vmc_notice_connected(struct vmc_link *link, unsigned int end,
			  uint32_t slot, uint32_t cookie);
void vmc_notice_failed(struct vmc_vm *vm, uint32_t cookie, int error);
void vmc_notice_reset(struct vmc_link *link, unsigned int end, uint32_t slot,
		      int error);

#endif /* VMC_SWITCH_NOTICE_H */
