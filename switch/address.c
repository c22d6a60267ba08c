// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * IP addresses and endpoint names as the wire has them: text, comparison and
 * what kind of address one is. Owns nothing. Called by everybody.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "switch/address.h"

static int parse_prefix(const char *text, unsigned int max,
			unsigned char *ret_prefix)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	value = strtoul(text, &end, 10);
	if (*end || value > max)
		return -EINVAL;
	*ret_prefix = (unsigned char)value;
	return 0;
}

/**
 * vmc_address_parse - read "10.0.0.1/24" or "fd77::1/64"
 * @text: the text
 * @ret_address: the address
 *
 * Return: 0, or -EINVAL when the text is no address with a prefix that a VM
 * can own: not a wildcard, loopback, multicast, or mapped IPv4 address.
 */
int vmc_address_parse(const char *text, struct vmc_address *ret_address)
{
	struct vmc_address address = { 0 };
	const char *slash = strchr(text, '/');
	char host[INET6_ADDRSTRLEN];
	struct vmc_name name = { 0 };
	unsigned int max = 32;

	if (!slash || (size_t)(slash - text) >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, (size_t)(slash - text));
	host[slash - text] = '\0';
	address.family = VMC_FAMILY_INET;
	if (inet_pton(AF_INET, host, address.address) != 1) {
		address.family = VMC_FAMILY_INET6;
		max = 128;
		if (inet_pton(AF_INET6, host, address.address) != 1)
			return -EINVAL;
	}
	if (parse_prefix(slash + 1, max, &address.prefix))
		return -EINVAL;
	memcpy(name.address, address.address, sizeof(name.address));
	name.family = address.family;
	if (vmc_name_check(&name) || name.family != address.family ||
	    vmc_name_is_wildcard(&name) || vmc_name_is_loopback(&name) ||
	    (max == 32 ? address.address[0] >= 224 :
			 address.address[0] == 0xff))
		return -EINVAL;
	*ret_address = address;
	return 0;
}

/**
 * vmc_address_format - write "10.0.0.1/24"
 * @address: a valid address
 * @text: where to
 *
 * Return: @text.
 */
const char *vmc_address_format(const struct vmc_address *address,
			       char text[VMC_ADDRESS_TEXT_BYTES])
{
	size_t bytes;

	inet_ntop(address->family == VMC_FAMILY_INET ? AF_INET : AF_INET6,
		  address->address, text, INET6_ADDRSTRLEN);
	bytes = strlen(text);
	snprintf(text + bytes, VMC_ADDRESS_TEXT_BYTES - bytes, "/%u",
		 address->prefix);
	return text;
}

/**
 * vmc_address_is - whether a name has this address
 * @address: of a VM
 * @name: checked
 */
bool vmc_address_is(const struct vmc_address *address,
		    const struct vmc_name *name)
{
	return address->family == name->family &&
	       !memcmp(address->address, name->address,
		       sizeof(name->address));
}

/**
 * vmc_address_covers - whether a name lies in an address's network
 * @network: an address with the length of its network's prefix
 * @name: checked
 */
bool vmc_address_covers(const struct vmc_address *network,
			const struct vmc_name *name)
{
	unsigned int bytes = network->prefix / 8, bits = network->prefix % 8;

	if (network->family != name->family ||
	    memcmp(network->address, name->address, bytes))
		return false;
	return !bits || !((network->address[bytes] ^ name->address[bytes]) >>
			  (8 - bits));
}

/**
 * vmc_address_has_broadcast - whether a name means all of an address's network
 * @network: an address with the length of its network's prefix
 * @name: checked
 *
 * 255.255.255.255 means all of every IPv4 network.
 */
bool vmc_address_has_broadcast(const struct vmc_address *network,
			       const struct vmc_name *name)
{
	uint32_t own, wanted, host_bits;

	if (network->family != VMC_FAMILY_INET ||
	    name->family != VMC_FAMILY_INET)
		return false;
	memcpy(&own, network->address, sizeof(own));
	memcpy(&wanted, name->address, sizeof(wanted));
	if (wanted == UINT32_MAX)
		return true;
	/* Networks of two addresses, or of one, have none. */
	if (network->prefix >= 31)
		return false;
	host_bits = htobe32(UINT32_MAX >> network->prefix);
	return wanted == (own | host_bits);
}

/**
 * vmc_name_check - check a name that came from a guest
 * @name: unchecked; an IPv4 address mapped into IPv6 becomes plain IPv4
 *
 * Return: 0, or -EINVAL when the family is unknown or padding is not zero.
 */
int vmc_name_check(struct vmc_name *name)
{
	static const uint8_t zero[12];
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (name->pad || name->scope)
		return -EINVAL;
	if (name->family == VMC_FAMILY_INET)
		return memcmp(name->address + 4, zero, 12) ? -EINVAL : 0;
	if (name->family != VMC_FAMILY_INET6)
		return -EINVAL;
	if (!memcmp(name->address, mapped, sizeof(mapped))) {
		memcpy(name->address, name->address + 12, 4);
		memset(name->address + 4, 0, 12);
		name->family = VMC_FAMILY_INET;
	}
	return 0;
}

/**
 * vmc_name_is_wildcard - whether a name stands for every address
 * @name: checked
 */
bool vmc_name_is_wildcard(const struct vmc_name *name)
{
	static const uint8_t zero[16];

	return !memcmp(name->address, zero, sizeof(zero));
}

/**
 * vmc_name_is_loopback - whether a name means the VM itself
 * @name: checked
 */
bool vmc_name_is_loopback(const struct vmc_name *name)
{
	static const uint8_t loopback[16] = { [15] = 1 };

	if (name->family == VMC_FAMILY_INET)
		return name->address[0] == 127;
	return !memcmp(name->address, loopback, sizeof(loopback));
}

/**
 * vmc_name_is_multicast - whether a name means a group
 * @name: checked
 */
bool vmc_name_is_multicast(const struct vmc_name *name)
{
	if (name->family == VMC_FAMILY_INET)
		return (name->address[0] & 0xf0) == 0xe0;
	return name->address[0] == 0xff;
}

/**
 * vmc_name_has_same_address - compare two names but for their ports
 * @a: checked
 * @b: checked
 */
bool vmc_name_has_same_address(const struct vmc_name *a,
			       const struct vmc_name *b)
{
	return a->family == b->family &&
	       !memcmp(a->address, b->address, sizeof(a->address));
}

/**
 * vmc_name_format - write "10.0.0.1:80" or "[fd77::1]:80"
 * @name: checked
 * @text: where to
 *
 * Return: @text.
 */
const char *vmc_name_format(const struct vmc_name *name,
			    char text[VMC_ADDRESS_TEXT_BYTES])
{
	bool is_inet = name->family == VMC_FAMILY_INET;
	char host[INET6_ADDRSTRLEN];

	inet_ntop(is_inet ? AF_INET : AF_INET6, name->address, host,
		  sizeof(host));
	snprintf(text, VMC_ADDRESS_TEXT_BYTES, is_inet ? "%s:%u" : "[%s]:%u",
		 host, le16toh(name->port));
	return text;
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t nr)
{
	const uint8_t *byte = bytes;

	while (nr--)
		hash = (hash ^ *byte++) * 0x100000001b3ULL;
	return hash;
}

/**
 * vmc_name_hash - hash the two names of a connection
 * @a: checked
 * @b: checked
 *
 * Return: FNV-1a, with its high bits folded into the low ones.
 */
uint64_t vmc_name_hash(const struct vmc_name *a, const struct vmc_name *b)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	hash = hash_bytes(hash, a, sizeof(*a));
	hash = hash_bytes(hash, b, sizeof(*b));
	return hash ^ hash >> 32;
}
