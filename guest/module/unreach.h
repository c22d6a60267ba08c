/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_UNREACH_H
#define VMC_UNREACH_H

struct sk_buff;

void vmc_unreach_tell(struct sk_buff *skb, int error);

#endif /* VMC_UNREACH_H */
