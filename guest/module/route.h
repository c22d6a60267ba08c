/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_ROUTE_H
#define VMC_ROUTE_H

#include "compat.h"
#include "sock.h"

enum vmc_route {
	VMC_ROUTE_CIRCUIT,
	VMC_ROUTE_TCP,
};

/*
 * What decided that a plain sendto() of a datagram socket to a name leaves by
 * circuit0, and with which name. While none of it changed the decision stands.
 */
struct vmc_route_basis {
	bool is_known;
	u8 tos;
	int table;		/* the generation of the route tables */
	int device;
	bool is_local_circuit;
	u32 mark;
	u32 bindings;		/* how often the socket was bound, connected */
};

int vmc_route_init(void);
void vmc_route_exit(void);
enum vmc_route vmc_route_find(struct sock *sk, const vmc_sockaddr *addr,
			      int addr_bytes, struct vmc_names *ret_names);
bool vmc_route_may_listen(const struct sock *sk);
bool vmc_route_has_hooks(void);
bool vmc_route_local_is_circuit(void);
bool vmc_route_is_current(const struct sock *sk, u32 bindings,
			  const struct vmc_route_basis *basis,
			  const struct vmc_name *remote);
bool vmc_route_learn(const struct sock *sk, u32 bindings,
		     const struct vmc_name *remote,
		     struct vmc_names *ret_names,
		     struct vmc_route_basis *ret_basis);
void vmc_route_local_name(const struct sock *tcp, struct vmc_name *ret_name);

#endif /* VMC_ROUTE_H */
