/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_ADDRESS_H
#define VMC_SWITCH_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

/* Room for "[address]:port" and for "address/prefix". */
#define VMC_ADDRESS_TEXT_BYTES	(INET6_ADDRSTRLEN + 9)

int vmc_address_parse(const char *text, struct vmc_address *ret_address);
const char *vmc_address_format(const struct vmc_address *address,
			       char text[VMC_ADDRESS_TEXT_BYTES]);
bool vmc_address_is(const struct vmc_address *address,
		    const struct vmc_name *name);
bool vmc_address_covers(const struct vmc_address *network,
			const struct vmc_name *name);
bool vmc_address_has_broadcast(const struct vmc_address *network,
			       const struct vmc_name *name);

int vmc_name_check(struct vmc_name *name);
bool vmc_name_is_wildcard(const struct vmc_name *name);
bool vmc_name_is_loopback(const struct vmc_name *name);
bool vmc_name_is_multicast(const struct vmc_name *name);
bool vmc_name_has_same_address(const struct vmc_name *a,
			       const struct vmc_name *b);
const char *vmc_name_format(const struct vmc_name *name,
			    char text[VMC_ADDRESS_TEXT_BYTES]);
uint64_t vmc_name_hash(const struct vmc_name *a, const struct vmc_name *b);

#endif /* VMC_SWITCH_ADDRESS_H */
