/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_SOCKOPT_H
#define VMC_SOCKOPT_H

#include "sock.h"

int vmc_sockopt_set(struct socket *sock, int level, int name, sockptr_t value,
		    unsigned int bytes);
int vmc_sockopt_set_rcvlowat(struct sock *sk, int bytes);
int vmc_sockopt_get(struct socket *sock, int level, int name,
		    char __user *value, int __user *bytes);

#endif /* VMC_SOCKOPT_H */
