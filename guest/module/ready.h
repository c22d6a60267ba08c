/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_READY_H
#define VMC_READY_H

#include <linux/types.h>

struct msghdr;
struct sock;
struct vmc_flow;

void vmc_ready_init(struct sock *sk);
void vmc_ready_exit(struct sock *sk);
bool vmc_ready_look_at(struct vmc_flow *flow);
void vmc_ready_wait(struct sock *sk);
void vmc_ready_refresh(struct sock *sk);
int vmc_ready_take(struct sock *sk, struct msghdr *msg, size_t room_bytes);

#endif /* VMC_READY_H */
