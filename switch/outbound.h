/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_OUTBOUND_H
#define VMC_SWITCH_OUTBOUND_H

struct vmc_dial;
struct vmc_outbound;
struct vmc_relay;

void vmc_outbound_dial(struct vmc_dial *dial);
void vmc_outbound_cancel(struct vmc_relay *relay);
void vmc_outbound_free(struct vmc_outbound *outbound);

#endif /* VMC_SWITCH_OUTBOUND_H */
