/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_HUB_H
#define VMC_HUB_H

#include <linux/types.h>
#include "../../proto/wire.h"

struct napi_struct;
struct sk_buff;

/* Of its CONNECT. Sockets count theirs from 1. */
#define VMC_HUB_COOKIE	0U

void vmc_hub_dial(void);
bool vmc_hub_answered(const struct vmc_connected *answer);
void vmc_hub_failed(int error);
bool vmc_hub_transmit(struct sk_buff *skb);
int vmc_hub_poll(struct napi_struct *napi, int budget);
void vmc_hub_groups_changed(void);

#endif /* VMC_HUB_H */
