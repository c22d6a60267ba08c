// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The interface circuit0: up or down, its addresses, the default routes of the
 * uplink and those to groups, over rtnetlink. The kernel adds the route of each address's
 * prefix by itself. Routes are what makes a connection a circuit.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "link.h"

/* Addresses that one pass over the interface can note for removal. */
#define MAX_FOUND	64

/* Higher than what DHCP, router advertisements and people choose: a default
 * route through a network card goes first.
 */
#define UPLINK_METRIC	4096

struct netlink {
	struct mnl_socket *socket;
	unsigned int port;
	unsigned int sequence;
	unsigned int ifindex;
};

/* The addresses on the interface, as the kernel lists them. */
struct found {
	unsigned int ifindex;
	unsigned int nr;
	struct vmc_module_address addresses[MAX_FOUND];
};

static unsigned int address_bytes(int family)
{
	return family == AF_INET ? 4 : 16;
}

static bool address_equals(const struct vmc_module_address *a,
			   const struct vmc_module_address *b)
{
	return a->family == b->family && a->prefix == b->prefix &&
	       !memcmp(a->address, b->address, address_bytes(a->family));
}

static int netlink_open(struct netlink *ret_netlink)
{
	struct netlink netlink = { .sequence = 1 };

	netlink.ifindex = if_nametoindex(VMC_LINK_NAME);
	if (!netlink.ifindex)
		return -ENODEV;
	netlink.socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!netlink.socket)
		return -errno;
	if (mnl_socket_bind(netlink.socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int error = -errno;

		mnl_socket_close(netlink.socket);
		return error;
	}
	netlink.port = mnl_socket_get_portid(netlink.socket);
	*ret_netlink = netlink;
	return 0;
}

static void netlink_close(struct netlink *netlink)
{
	mnl_socket_close(netlink->socket);
}

/* Sends a request and feeds the answers to on_message, to the last one. */
static int netlink_talk(struct netlink *netlink, struct nlmsghdr *header,
			mnl_cb_t on_message, void *context)
{
	char buffer[16384];
	int more;

	header->nlmsg_seq = netlink->sequence++;
	if (mnl_socket_sendto(netlink->socket, header, header->nlmsg_len) < 0)
		return -errno;
	do {
		ssize_t got = mnl_socket_recvfrom(netlink->socket, buffer,
						  sizeof(buffer));

		if (got < 0)
			return -errno;
		more = mnl_cb_run(buffer, (size_t)got, header->nlmsg_seq,
				  netlink->port, on_message, context);
		if (more < 0)
			return -errno;
	} while (more > 0);
	return 0;
}

static int set_up(struct netlink *netlink, bool up)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *link;

	header->nlmsg_type = RTM_NEWLINK;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	link = mnl_nlmsg_put_extra_header(header, sizeof(*link));
	link->ifi_family = AF_UNSPEC;
	link->ifi_index = (int)netlink->ifindex;
	link->ifi_change = IFF_UP;
	link->ifi_flags = up ? IFF_UP : 0;
	return netlink_talk(netlink, header, NULL, NULL);
}

/* For programs that ask for it; the kernel knows it anyway. */
static void put_broadcast(struct nlmsghdr *header,
			  const struct vmc_module_address *address)
{
	uint32_t broadcast;

	memcpy(&broadcast, address->address, sizeof(broadcast));
	broadcast |= htonl(UINT32_MAX >> address->prefix);
	mnl_attr_put_u32(header, IFA_BROADCAST, broadcast);
}

/* Adds (RTM_NEWADDR) or removes (RTM_DELADDR) one address. */
static int change_address(struct netlink *netlink, uint16_t type,
			  const struct vmc_module_address *address)
{
	size_t bytes = address_bytes(address->family);
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct ifaddrmsg *message;

	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	if (type == RTM_NEWADDR)
		header->nlmsg_flags |= NLM_F_CREATE | NLM_F_REPLACE;
	message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
	message->ifa_family = (unsigned char)address->family;
	message->ifa_prefixlen = address->prefix;
	message->ifa_index = netlink->ifindex;
	/* The switch keeps addresses unique; there is nobody to ask. */
	if (address->family == AF_INET6)
		message->ifa_flags = IFA_F_NODAD;
	mnl_attr_put(header, IFA_LOCAL, bytes, address->address);
	mnl_attr_put(header, IFA_ADDRESS, bytes, address->address);
	if (address->family == AF_INET && address->prefix < 31)
		put_broadcast(header, address);
	return netlink_talk(netlink, header, NULL, NULL);
}

/* Notes an address of the interface, but for those the kernel made itself. */
static int note_address(const struct nlmsghdr *header, void *context)
{
	const struct ifaddrmsg *message = mnl_nlmsg_get_payload(header);
	struct vmc_module_address *address;
	struct found *found = context;
	const struct nlattr *attribute;
	bool has_local = false;

	if (header->nlmsg_type != RTM_NEWADDR ||
	    message->ifa_index != found->ifindex ||
	    message->ifa_scope == RT_SCOPE_LINK || found->nr == MAX_FOUND ||
	    (message->ifa_family != AF_INET && message->ifa_family != AF_INET6))
		return MNL_CB_OK;
	address = &found->addresses[found->nr++];
	*address = (struct vmc_module_address){
		.family = message->ifa_family,
		.prefix = message->ifa_prefixlen,
	};
	mnl_attr_for_each(attribute, header, sizeof(*message)) {
		uint16_t type = mnl_attr_get_type(attribute);

		/* IFA_ADDRESS is the peer's where IFA_LOCAL is given, too. */
		if (mnl_attr_get_payload_len(attribute) !=
		    address_bytes(address->family) ||
		    (type != IFA_LOCAL && (type != IFA_ADDRESS || has_local)))
			continue;
		has_local = type == IFA_LOCAL;
		memcpy(address->address, mnl_attr_get_payload(attribute),
		       address_bytes(address->family));
	}
	return MNL_CB_OK;
}

static int find_addresses(struct netlink *netlink, struct found *ret_found)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct ifaddrmsg *message;

	header->nlmsg_type = RTM_GETADDR;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
	message->ifa_family = AF_UNSPEC;
	ret_found->ifindex = netlink->ifindex;
	ret_found->nr = 0;
	return netlink_talk(netlink, header, note_address, ret_found);
}

/* Removes what is on the interface and is none of the given addresses. */
static int remove_others(struct netlink *netlink,
			 const struct vmc_module_address *addresses,
			 unsigned int nr_addresses)
{
	struct found found;
	int error;

	error = find_addresses(netlink, &found);
	if (error)
		return error;
	for (unsigned int i = 0; i < found.nr; i++) {
		unsigned int k = 0;

		while (k < nr_addresses &&
		       !address_equals(&found.addresses[i], &addresses[k]))
			k++;
		if (k < nr_addresses)
			continue;
		error = change_address(netlink, RTM_DELADDR,
				       &found.addresses[i]);
		/* Removing an IPv4 address takes its secondaries along. */
		if (error && error != -EADDRNOTAVAIL)
			return error;
	}
	return 0;
}

/* Where a route leads: everywhere, or to IPv4's groups and broadcasts. */
struct destination {
	int family;
	unsigned char prefix;
	unsigned char address[4];	/* of IPv4, if prefix is not 0 */
};

/* Adds (RTM_NEWROUTE) or removes (RTM_DELROUTE) one route. */
static int change_route(struct netlink *netlink, uint16_t type,
			const struct destination *to)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct rtmsg *route;
	int error;

	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	if (type == RTM_NEWROUTE)
		header->nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
	route = mnl_nlmsg_put_extra_header(header, sizeof(*route));
	route->rtm_family = (unsigned char)to->family;
	route->rtm_dst_len = to->prefix;
	route->rtm_table = RT_TABLE_MAIN;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_scope = to->family == AF_INET ? RT_SCOPE_LINK :
						   RT_SCOPE_UNIVERSE;
	route->rtm_type = RTN_UNICAST;
	if (to->prefix)
		mnl_attr_put(header, RTA_DST, sizeof(to->address),
			     to->address);
	mnl_attr_put_u32(header, RTA_OIF, netlink->ifindex);
	mnl_attr_put_u32(header, RTA_PRIORITY, UPLINK_METRIC);
	error = netlink_talk(netlink, header, NULL, NULL);
	if (type == RTM_NEWROUTE)
		return error == -EEXIST ? 0 : error;
	/* There is none, or the kernel has no such family. */
	if (error == -ESRCH || error == -EOPNOTSUPP || error == -EAFNOSUPPORT)
		return 0;
	return error;
}

/* Whether some route leads to an IPv4 address. */
static bool is_routed(struct netlink *netlink, const unsigned char address[4])
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct rtmsg *route;

	header->nlmsg_type = RTM_GETROUTE;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	route = mnl_nlmsg_put_extra_header(header, sizeof(*route));
	route->rtm_family = AF_INET;
	route->rtm_dst_len = 32;
	mnl_attr_put(header, RTA_DST, 4, address);
	return !netlink_talk(netlink, header, NULL, NULL);
}

/*
 * Where no default route says it, groups and broadcasts of IPv4 leave through
 * the interface. For those of IPv6 each interface has a route of the kernel.
 */
static int add_group_routes(struct netlink *netlink)
{
	static const struct destination destinations[] = {
		{ AF_INET, 4, { 224, 0, 0, 0 } },
		{ AF_INET, 32, { 255, 255, 255, 255 } },
	};
	int error = 0;

	for (unsigned int i = 0; !error && i < 2; i++) {
		if (!is_routed(netlink, destinations[i].address))
			error = change_route(netlink, RTM_NEWROUTE,
					     &destinations[i]);
	}
	return error;
}

/* With the uplink, a default route for each family that has an address. */
static int change_default_routes(struct netlink *netlink,
				 const struct vmc_module_address *addresses,
				 unsigned int nr_addresses, bool has_uplink)
{
	static const int families[] = { AF_INET, AF_INET6 };
	bool is_wanted;
	int error = 0;

	for (unsigned int i = 0; !error && i < 2; i++) {
		is_wanted = false;
		for (unsigned int k = 0; has_uplink && k < nr_addresses; k++)
			is_wanted |= addresses[k].family == families[i];
		error = change_route(netlink, is_wanted ? RTM_NEWROUTE :
						      RTM_DELROUTE,
				     &(struct destination){ families[i],
							    0, { 0 } });
	}
	return error;
}

static bool has_inet(const struct vmc_module_address *addresses,
		     unsigned int nr_addresses)
{
	while (nr_addresses) {
		if (addresses[--nr_addresses].family == AF_INET)
			return true;
	}
	return false;
}

/**
 * vmc_link_is_up - whether the interface is up
 * @ret_up: the answer
 *
 * Return: 0; -ENODEV: there is no interface; another errno.
 */
int vmc_link_is_up(bool *ret_up)
{
	struct ifreq request = { .ifr_name = VMC_LINK_NAME };
	int fd, error = 0;

	/* A datagram socket: the redirect leaves those alone. */
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCGIFFLAGS, &request))
		error = -errno;
	else
		*ret_up = request.ifr_flags & IFF_UP;
	close(fd);
	return error;
}

/**
 * vmc_link_configure - bring the interface up with exactly these addresses
 * @addresses: with their prefixes
 * @nr_addresses: how many
 * @has_uplink: whether default routes shall lead through it
 *
 * An address that is there already is left alone, so that the sockets bound
 * to it notice nothing. Link-local addresses are the kernel's business.
 *
 * Return: 0; -ENODEV: there is no interface; another errno of rtnetlink.
 */
int vmc_link_configure(const struct vmc_module_address *addresses,
		       unsigned int nr_addresses, bool has_uplink)
{
	struct netlink netlink;
	int error;

	error = netlink_open(&netlink);
	if (error)
		return error;
	error = set_up(&netlink, true);
	if (!error)
		error = remove_others(&netlink, addresses, nr_addresses);
	for (unsigned int i = 0; !error && i < nr_addresses; i++)
		error = change_address(&netlink, RTM_NEWADDR, &addresses[i]);
	if (!error)
		error = change_default_routes(&netlink, addresses,
					      nr_addresses, has_uplink);
	if (!error && has_inet(addresses, nr_addresses))
		error = add_group_routes(&netlink);
	netlink_close(&netlink);
	return error;
}

/**
 * vmc_link_clear - remove the interface's addresses and take it down
 *
 * Return: 0, also when there is no interface; an errno of rtnetlink.
 */
int vmc_link_clear(void)
{
	struct netlink netlink;
	int error;

	error = netlink_open(&netlink);
	if (error)
		return error == -ENODEV ? 0 : error;
	error = remove_others(&netlink, NULL, 0);
	if (!error)
		error = set_up(&netlink, false);
	netlink_close(&netlink);
	return error;
}
