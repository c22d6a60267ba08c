/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_SPIN_H
#define VMC_SPIN_H

#include <linux/types.h>

struct sock;

bool vmc_spin_may(void);
bool vmc_spin(struct sock *sk, bool (*is_over)(struct sock *sk, u32 argument),
	      u32 argument);
int vmc_spin_in_call(struct sock *sk,
		     bool (*is_over)(struct sock *sk, u32 argument),
		     u32 argument);
int vmc_spin_init(void);
void vmc_spin_exit(void);

#endif /* VMC_SPIN_H */
