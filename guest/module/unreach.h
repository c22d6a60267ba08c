/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_UNREACH_H
#define VMC_UNREACH_H

struct sk_buff;
struct vmc_names;

void vmc_unreach_tell(struct sk_buff *skb, int error);
void vmc_unreach_tell_now(struct sk_buff *skb, int error);
void vmc_unreach_tell_names(const struct vmc_names *names, int error);

#endif /* VMC_UNREACH_H */
