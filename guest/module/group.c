// SPDX-License-Identifier: GPL-2.0-only
/*
 * Addresses of circuit0 that mean many: which groups are joined there, and what
 * is a broadcast. Owns nothing: the kernel's lists say it. Called by hub.c.
 */
#include <linux/igmp.h>
#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <net/addrconf.h>
#include <net/if_inet6.h>
#include "../../proto/hub.h"
#include "../../proto/ring.h"
#include "group.h"
#include "netdev.h"

/**
 * vmc_group_is_broadcast - whether an address means all of a network
 * @address: in network order
 *
 * Under RCU.
 */
bool vmc_group_is_broadcast(__be32 address)
{
	const struct in_device *in_dev;
	const struct in_ifaddr *own;

	if (ipv4_is_lbcast(address))
		return true;
	in_dev = __in_dev_get_rcu(vmc_netdev_device());
	if (!in_dev)
		return false;
	in_dev_for_each_ifa_rcu(own, in_dev) {
		if (own->ifa_prefixlen < 31 &&
		    address == (own->ifa_address | ~own->ifa_mask))
			return true;
	}
	return false;
}

/* Calls @each for the IPv4 groups that are joined, until it says true. */
static bool find_inet(bool (*each)(const void *group, unsigned int bytes,
				   void *argument), void *argument)
{
	const struct in_device *in_dev =
		__in_dev_get_rcu(vmc_netdev_device());
	const struct ip_mc_list *one;

	if (!in_dev)
		return false;
	for (one = rcu_dereference(in_dev->mc_list); one;
	     one = rcu_dereference(one->next_rcu)) {
		if (each(&one->multiaddr, sizeof(one->multiaddr), argument))
			return true;
	}
	return false;
}

/* As find_inet(). */
static bool find_inet6(bool (*each)(const void *group, unsigned int bytes,
				    void *argument), void *argument)
{
	const struct inet6_dev *in6_dev = __in6_dev_get(vmc_netdev_device());
	const struct ifmcaddr6 *one;

	if (!in6_dev)
		return false;
	for (one = rcu_dereference(in6_dev->mc_list); one;
	     one = rcu_dereference(one->next)) {
		if (each(&one->mca_addr, sizeof(one->mca_addr), argument))
			return true;
	}
	return false;
}

static bool is_same(const void *group, unsigned int bytes, void *argument)
{
	return !memcmp(group, argument, bytes);
}

/**
 * vmc_group_is_joined - whether somebody here is in a group
 * @address: in network order
 *
 * Under RCU. From whom, the kernel's filters know.
 */
bool vmc_group_is_joined(__be32 address)
{
	return find_inet(is_same, &address);
}

/**
 * vmc_group_is_joined6 - as vmc_group_is_joined()
 * @address: the group
 */
bool vmc_group_is_joined6(const struct in6_addr *address)
{
	return find_inet6(is_same, (void *)address);
}

static bool mark(const void *group, unsigned int bytes, void *argument)
{
	u64 *map = argument;
	u32 bit = vmc_hub_group_bit(group, bytes);

	map[bit / 64] |= BIT_ULL(bit % 64);
	return false;
}

/**
 * vmc_group_write - tell the hub which groups are joined
 * @own: the control page of the circuit to it
 *
 * The caller lets one in at a time: who comes last has seen the lists last.
 */
void vmc_group_write(struct vmc_ctl *own)
{
	u64 map[VMC_GROUP_BITS / 64] = { };
	unsigned int i;

	rcu_read_lock();
	find_inet(mark, map);
	find_inet6(mark, map);
	rcu_read_unlock();
	for (i = 0; i < ARRAY_SIZE(map); i++)
		WRITE_ONCE(own->groups[i], cpu_to_le64(map[i]));
}
