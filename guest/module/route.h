/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_ROUTE_H
#define VMC_ROUTE_H

#include "compat.h"
#include "sock.h"

enum vmc_route {
	VMC_ROUTE_CIRCUIT,
	VMC_ROUTE_TCP,
};

int vmc_route_init(void);
void vmc_route_exit(void);
enum vmc_route vmc_route_find(struct sock *sk, const vmc_sockaddr *addr,
			      int addr_bytes, struct vmc_names *ret_names);
bool vmc_route_may_listen(const struct sock *sk);
void vmc_route_local_name(const struct sock *tcp, struct vmc_name *ret_name);

#endif /* VMC_ROUTE_H */
