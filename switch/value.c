// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Addresses, networks and ports as people write them, in the configuration and
 * on the control socket. Owns nothing. Called by the parts of the
 * configuration and by control_policy.c.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "switch/address.h"
#include "switch/value.h"

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

static int parse_number(const char *text, unsigned long max,
			unsigned long *ret_number)
{
	unsigned long number;
	size_t digits = strspn(text, "0123456789");

	if (!digits || digits > 5 || text[digits])
		return -EINVAL;
	number = strtoul(text, NULL, 10);
	if (number > max)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static int parse_port(const char *text, uint16_t *ret_port)
{
	unsigned long port;

	if (parse_number(text, UINT16_MAX, &port) || !port)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

static int parse_address(const char *text, size_t bytes,
			 struct vmc_name *ret_name)
{
	struct vmc_name name = { .family = VMC_FAMILY_INET };
	char host[INET6_ADDRSTRLEN];

	if (bytes >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, bytes);
	host[bytes] = '\0';
	if (inet_pton(AF_INET, host, name.address) != 1) {
		name.family = VMC_FAMILY_INET6;
		if (inet_pton(AF_INET6, host, name.address) != 1)
			return -EINVAL;
	}
	*ret_name = name;
	return 0;
}

/**
 * vmc_value_address - read "192.0.2.1" or "2001:db8::1"
 * @text: the text
 * @ret_name: the address, with port 0; a mapped IPv4 address becomes plain
 *
 * Return: 0 or -EINVAL.
 */
int vmc_value_address(const char *text, struct vmc_name *ret_name)
{
	struct vmc_name name;

	if (parse_address(text, strlen(text), &name))
		return -EINVAL;
	vmc_name_check(&name);
	*ret_name = name;
	return 0;
}

/**
 * vmc_value_name - read "192.0.2.1:80" or "[2001:db8::1]:80"
 * @text: the text
 * @ret_name: the name; a mapped IPv4 address becomes plain
 *
 * Return: 0, or -EINVAL, also for port 0.
 */
int vmc_value_name(const char *text, struct vmc_name *ret_name)
{
	const char *end = strrchr(text, ':');
	bool is_bracketed = *text == '[';
	struct vmc_name name;
	uint16_t port;

	if (!end || parse_port(end + 1, &port))
		return -EINVAL;
	if (is_bracketed && (end == text || end[-1] != ']'))
		return -EINVAL;
	text += is_bracketed;
	if (parse_address(text, (size_t)(end - text) - is_bracketed, &name) ||
	    (name.family == VMC_FAMILY_INET6) != is_bracketed)
		return -EINVAL;
	vmc_name_check(&name);
	name.port = htole16(port);
	*ret_name = name;
	return 0;
}

/* Whether an address has bits beyond the prefix. */
static bool has_host_bits(const struct vmc_address *network)
{
	unsigned int bits = network->family == VMC_FAMILY_INET ? 32 : 128;
	unsigned int i;

	for (i = network->prefix; i < bits; i++) {
		if (network->address[i / 8] & (0x80 >> i % 8))
			return true;
	}
	return false;
}

/**
 * vmc_value_network - read "10.0.0.0/8", "2001:db8::/32", or one address
 * @text: the text
 * @ret_network: the network
 *
 * Return: 0; -EINVAL; -EDOM when bits beyond the prefix are set; -EAFNOSUPPORT
 * for a network of mapped IPv4 addresses, which are known as IPv4 only.
 */
int vmc_value_network(const char *text, struct vmc_address *ret_network)
{
	const char *slash = strchr(text, '/');
	struct vmc_address network = { 0 };
	unsigned long prefix, max;
	struct vmc_name name;

	if (parse_address(text, slash ? (size_t)(slash - text) : strlen(text),
			  &name))
		return -EINVAL;
	max = name.family == VMC_FAMILY_INET ? 32 : 128;
	prefix = max;
	if (slash && parse_number(slash + 1, max, &prefix))
		return -EINVAL;
	memcpy(network.address, name.address, sizeof(network.address));
	network.family = name.family;
	network.prefix = (uint8_t)prefix;
	if (max == 128 && prefix >= 96 &&
	    !memcmp(network.address, mapped_prefix, sizeof(mapped_prefix)))
		return -EAFNOSUPPORT;
	if (has_host_bits(&network))
		return -EDOM;
	*ret_network = network;
	return 0;
}

/**
 * vmc_value_ports - read "443" or "8000-8999"
 * @text: the text
 * @ret_ports: the first and the last port
 *
 * Return: 0; -EINVAL; -ERANGE when the last port is before the first.
 */
int vmc_value_ports(const char *text, struct vmc_port_range *ret_ports)
{
	const char *dash = strchr(text, '-');
	struct vmc_port_range ports;
	char first[6] = "";
	size_t bytes = dash ? (size_t)(dash - text) : strlen(text);

	if (bytes >= sizeof(first))
		return -EINVAL;
	memcpy(first, text, bytes);
	if (parse_port(first, &ports.first) ||
	    parse_port(dash ? dash + 1 : first, &ports.last))
		return -EINVAL;
	if (ports.last < ports.first)
		return -ERANGE;
	*ret_ports = ports;
	return 0;
}

/**
 * vmc_value_is_unicast - whether an address can be somebody's
 * @name: checked
 *
 * Return: false for the wildcard, multicast and broadcast.
 */
bool vmc_value_is_unicast(const struct vmc_name *name)
{
	if (vmc_name_is_wildcard(name))
		return false;
	if (name->family == VMC_FAMILY_INET)
		return name->address[0] && name->address[0] < 224;
	return name->address[0] != 0xff;
}
