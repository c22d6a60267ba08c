/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_SHADOW_H
#define VMC_SHADOW_H

struct sock;
struct socket;

int vmc_shadow_create(struct sock *sk);
struct socket *vmc_shadow_get(struct sock *sk);
void vmc_shadow_carry(struct sock *sk);
void vmc_shadow_release(struct sock *sk);
void vmc_shadow_disown(struct sock *tcp);
void vmc_shadow_sync_error(struct sock *sk);
int vmc_shadow_take_port(struct sock *sk);
void vmc_shadow_give_port(struct sock *sk);
void vmc_shadow_disconnect(struct sock *sk);
void vmc_shadow_copy_options(struct sock *to, const struct sock *from);

#endif /* VMC_SHADOW_H */
