/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_PUMP_H
#define VMC_SWITCH_PUMP_H

struct vmc_relay;

void vmc_pump_start(struct vmc_relay *relay);
void vmc_pump(struct vmc_relay *relay);

#endif /* VMC_SWITCH_PUMP_H */
