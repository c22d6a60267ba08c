/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_LISTEN_H
#define VMC_LISTEN_H

#include "sock.h"

int vmc_listen(struct socket *sock, int backlog);
void vmc_listen_stop(struct sock *sk);
int vmc_listen_accept(struct socket *sock, struct socket *newsock,
		      struct proto_accept_arg *arg);
bool vmc_listen_has_child(const struct sock *sk);
void vmc_listen_answered(u32 id, int error);
void vmc_listen_offered(const struct vmc_offer *offer);
bool vmc_listen_offered_early(const struct vmc_offer *offer);
void vmc_listen_switch_gone(void);
void vmc_listen_register_all(void);

#endif /* VMC_LISTEN_H */
