/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_HELD_H
#define VMC_HELD_H

#include "sock.h"

void vmc_held_init(struct sock *sk);
bool vmc_held_is_wanted(const struct sock *sk, int flags);
void vmc_held_look(struct sock *sk);
void vmc_held_option(struct sock *sk, int name);
void vmc_held_push(struct sock *sk);
void vmc_held_stop(struct sock *sk);

#endif /* VMC_HELD_H */
