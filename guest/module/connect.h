/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_CONNECT_H
#define VMC_CONNECT_H

#include "compat.h"
#include "sock.h"

int vmc_connect(struct socket *sock, vmc_sockaddr *addr, int addr_bytes,
		int flags);
int vmc_connect_dial(struct sock *sk, vmc_sockaddr *addr, int addr_bytes);
void vmc_connect_cancel(struct sock *sk);
void vmc_connect_run_deferred(struct sock *sk);
bool vmc_connect_answered(const struct vmc_connected *answer);
void vmc_connect_reject(const struct vmc_connected *answer, u32 attachment);
void vmc_connect_failed(u32 cookie, int error);
void vmc_connect_fail_all(int error);
void vmc_connect_timeout(struct timer_list *timer);

#endif /* VMC_CONNECT_H */
