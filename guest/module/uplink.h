/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_UPLINK_H
#define VMC_UPLINK_H

#include <linux/types.h>

struct sock;
struct tcp_info;
struct vmc_circuit;

void vmc_uplink_publish(struct sock *sk);
bool vmc_uplink_has_news(struct vmc_circuit *circuit);
void vmc_uplink_ask(struct sock *sk, struct tcp_info *info);

#endif /* VMC_UPLINK_H */
