// SPDX-License-Identifier: MIT
/*
 * The names of endpoints: as sockets have them, and on the wire. Owns nothing.
 */
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/name.h"

/**
 * vmc_name_from - a socket address on the wire
 * @address: AF_INET, or AF_INET6 without a scope
 * @bytes: its length
 * @ret_name: the name
 *
 * Return: 0, -EAFNOSUPPORT or -EINVAL.
 */
int vmc_name_from(const struct sockaddr *address, socklen_t bytes,
		  struct vmc_name *ret_name)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;
	struct vmc_name name = { 0 };

	if (bytes < sizeof(address->sa_family))
		return -EINVAL;
	switch (address->sa_family) {
	case AF_INET:
		if (bytes < sizeof(*in))
			return -EINVAL;
		memcpy(name.address, &in->sin_addr, sizeof(in->sin_addr));
		name.port = htole16(ntohs(in->sin_port));
		name.family = VMC_FAMILY_INET;
		break;
	case AF_INET6:
		if (bytes < sizeof(*in6) || in6->sin6_scope_id)
			return -EINVAL;
		memcpy(name.address, &in6->sin6_addr, sizeof(in6->sin6_addr));
		name.port = htole16(ntohs(in6->sin6_port));
		name.family = VMC_FAMILY_INET6;
		break;
	default:
		return -EAFNOSUPPORT;
	}
	*ret_name = name;
	return 0;
}

/**
 * vmc_name_to - a socket address from the wire
 * @name: from the switch
 * @ret_address: AF_INET or AF_INET6
 */
void vmc_name_to(const struct vmc_name *name,
		 struct sockaddr_storage *ret_address)
{
	struct sockaddr_in *in = (void *)ret_address;
	struct sockaddr_in6 *in6 = (void *)ret_address;
	in_port_t port = htons(le16toh(name->port));

	memset(ret_address, 0, sizeof(*ret_address));
	if (name->family == VMC_FAMILY_INET) {
		in->sin_family = AF_INET;
		in->sin_port = port;
		memcpy(&in->sin_addr, name->address, sizeof(in->sin_addr));
	} else {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = port;
		memcpy(&in6->sin6_addr, name->address,
		       sizeof(in6->sin6_addr));
	}
}
