/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_TIMEWAIT_H
#define VMC_TIMEWAIT_H

#include <linux/types.h>

struct sock;

void vmc_timewait_enter(const struct sock *sk);
bool vmc_timewait_forbids(const struct sock *sk, const struct sock *tcp,
			  const void *addr, int addr_bytes);
void vmc_timewait_forget(u16 port);

#endif /* VMC_TIMEWAIT_H */
