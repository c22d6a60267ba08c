// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * IP packets, as the hub takes and makes them: what one is, and ICMP messages.
 * Only whole packets without options and extension headers are known. Owns
 * nothing. Called by hub.c and echo.c.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <string.h>

#include "switch/packet.h"

#define OWN_HOP_LIMIT	64

/* How much of a packet an error quotes. */
#define QUOTE_BYTES	128U

static void set_name(struct vmc_name *name, uint8_t family,
		     const void *address, size_t bytes)
{
	memset(name, 0, sizeof(*name));
	name->family = family;
	memcpy(name->address, address, bytes);
}

/* The ports, or the identifier; the kind is known and the header is there. */
static int parse_udp(struct vmc_packet *packet)
{
	struct udphdr udp;

	if (packet->payload_bytes < sizeof(udp))
		return -EINVAL;
	memcpy(&udp, packet->payload, sizeof(udp));
	if (ntohs(udp.len) != packet->payload_bytes)
		return -EINVAL;
	packet->kind = VMC_PACKET_UDP;
	packet->from.port = htole16(ntohs(udp.source));
	packet->to.port = htole16(ntohs(udp.dest));
	return 0;
}

/* ICMP and ICMPv6 have the same header and other numbers. */
static int parse_echo(struct vmc_packet *packet, uint8_t request,
		      uint8_t reply)
{
	struct icmphdr icmp;

	if (packet->payload_bytes < sizeof(icmp))
		return -EINVAL;
	memcpy(&icmp, packet->payload, sizeof(icmp));
	if (icmp.code || (icmp.type != request && icmp.type != reply))
		return -EINVAL;
	packet->kind = icmp.type == request ? VMC_PACKET_ECHO_REQUEST :
					      VMC_PACKET_ECHO_REPLY;
	packet->from.port = htole16(ntohs(icmp.un.echo.id));
	return 0;
}

static int parse_inet(struct vmc_packet *packet)
{
	struct iphdr ip;

	if (packet->nr_bytes < sizeof(ip))
		return -EINVAL;
	memcpy(&ip, packet->bytes, sizeof(ip));
	if (ip.ihl != sizeof(ip) / 4 || ntohs(ip.tot_len) != packet->nr_bytes ||
	    ntohs(ip.frag_off) & ~IP_DF)
		return -EINVAL;
	set_name(&packet->from, VMC_FAMILY_INET, &ip.saddr, 4);
	set_name(&packet->to, VMC_FAMILY_INET, &ip.daddr, 4);
	packet->hop_limit = ip.ttl;
	packet->payload = packet->bytes + sizeof(ip);
	packet->payload_bytes = packet->nr_bytes - (uint32_t)sizeof(ip);
	if (ip.protocol == IPPROTO_UDP)
		return parse_udp(packet);
	if (ip.protocol == IPPROTO_ICMP)
		return parse_echo(packet, ICMP_ECHO, ICMP_ECHOREPLY);
	return -EINVAL;
}

static int parse_inet6(struct vmc_packet *packet)
{
	struct ip6_hdr ip;

	if (packet->nr_bytes < sizeof(ip))
		return -EINVAL;
	memcpy(&ip, packet->bytes, sizeof(ip));
	if (ntohs(ip.ip6_plen) + sizeof(ip) != packet->nr_bytes)
		return -EINVAL;
	set_name(&packet->from, VMC_FAMILY_INET6, &ip.ip6_src, 16);
	set_name(&packet->to, VMC_FAMILY_INET6, &ip.ip6_dst, 16);
	packet->hop_limit = ip.ip6_hlim;
	packet->payload = packet->bytes + sizeof(ip);
	packet->payload_bytes = packet->nr_bytes - (uint32_t)sizeof(ip);
	if (ip.ip6_nxt == IPPROTO_UDP)
		return parse_udp(packet);
	if (ip.ip6_nxt == IPPROTO_ICMPV6)
		return parse_echo(packet, ICMP6_ECHO_REQUEST,
				  ICMP6_ECHO_REPLY);
	return -EINVAL;
}

/**
 * vmc_packet_parse - what a packet is
 * @raw: from a guest, unchecked, but a copy that it cannot change any more
 * @nr_bytes: its length
 * @ret_packet: points into @raw
 *
 * Return: 0, or -EINVAL for what the hub does not know.
 */
int vmc_packet_parse(const uint8_t *raw, uint32_t nr_bytes,
		     struct vmc_packet *ret_packet)
{
	struct vmc_packet packet = { .bytes = raw, .nr_bytes = nr_bytes };
	int error = -EINVAL;

	if (nr_bytes && raw[0] >> 4 == 4)
		error = parse_inet(&packet);
	else if (nr_bytes && raw[0] >> 4 == 6)
		error = parse_inet6(&packet);
	if (!error)
		*ret_packet = packet;
	return error;
}

/**
 * vmc_packet_header_bytes - length of an IP header
 * @name: of the family that is meant
 */
uint32_t vmc_packet_header_bytes(const struct vmc_name *name)
{
	return name->family == VMC_FAMILY_INET ? sizeof(struct iphdr) :
						 sizeof(struct ip6_hdr);
}

static uint32_t sum(uint32_t total, const void *bytes, uint32_t nr_bytes)
{
	const uint8_t *byte = bytes;
	uint32_t i;

	for (i = 0; i + 1 < nr_bytes; i += 2)
		total += (uint32_t)byte[i] << 8 | byte[i + 1];
	if (i < nr_bytes)
		total += (uint32_t)byte[i] << 8;
	return total;
}

/* Of so many bytes as a packet has the sum does not overflow. */
static uint16_t folded(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return htons((uint16_t)~total);
}

static void put_inet_header(uint8_t *packet, const struct vmc_name *from,
			    const struct vmc_name *to, uint8_t hop_limit,
			    uint32_t icmp_bytes)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = sizeof(ip) / 4,
		.tot_len = htons((uint16_t)(sizeof(ip) + icmp_bytes)),
		.ttl = hop_limit,
		.protocol = IPPROTO_ICMP,
	};

	memcpy(&ip.saddr, from->address, sizeof(ip.saddr));
	memcpy(&ip.daddr, to->address, sizeof(ip.daddr));
	ip.check = folded(sum(0, &ip, sizeof(ip)));
	memcpy(packet, &ip, sizeof(ip));
}

static void put_inet6_header(uint8_t *packet, const struct vmc_name *from,
			     const struct vmc_name *to, uint8_t hop_limit,
			     uint32_t icmp_bytes)
{
	struct ip6_hdr ip = { 0 };

	ip.ip6_flow = htonl(6U << 28);
	ip.ip6_plen = htons((uint16_t)icmp_bytes);
	ip.ip6_nxt = IPPROTO_ICMPV6;
	ip.ip6_hlim = hop_limit;
	memcpy(&ip.ip6_src, from->address, sizeof(ip.ip6_src));
	memcpy(&ip.ip6_dst, to->address, sizeof(ip.ip6_dst));
	memcpy(packet, &ip, sizeof(ip));
}

/**
 * vmc_packet_finish - put the IP header before an ICMP message, and its sum
 * @packet: the message stands at vmc_packet_header_bytes()
 * @from: the source
 * @to: the destination, of the same family
 * @hop_limit: how far it may go still
 * @icmp_bytes: of the message, at least 8, at most what IP can carry
 *
 * Return: the length of it all.
 */
uint32_t vmc_packet_finish(uint8_t *packet, const struct vmc_name *from,
			   const struct vmc_name *to, uint8_t hop_limit,
			   uint32_t icmp_bytes)
{
	bool is_inet = from->family == VMC_FAMILY_INET;
	uint32_t head = vmc_packet_header_bytes(from), total = 0;
	struct icmphdr icmp;
	uint16_t check;

	if (is_inet) {
		put_inet_header(packet, from, to, hop_limit, icmp_bytes);
	} else {
		put_inet6_header(packet, from, to, hop_limit, icmp_bytes);
		/* The pseudo header. */
		total = sum(0, from->address, 16);
		total = sum(total, to->address, 16);
		total += icmp_bytes + IPPROTO_ICMPV6;
	}
	memcpy(&icmp, packet + head, sizeof(icmp));
	icmp.checksum = 0;
	memcpy(packet + head, &icmp, sizeof(icmp));
	check = folded(sum(total, packet + head, icmp_bytes));
	icmp.checksum = check;
	memcpy(packet + head, &icmp, sizeof(icmp));
	return head + icmp_bytes;
}

/**
 * vmc_packet_error_for - what ICMP says where a system call says errno
 * @name: of the family that is meant
 * @error: positive errno: why nobody was reached
 */
struct vmc_packet_error vmc_packet_error_for(const struct vmc_name *name,
					     int error)
{
	bool is_inet = name->family == VMC_FAMILY_INET;
	struct vmc_packet_error said = {
		.type = is_inet ? ICMP_DEST_UNREACH : ICMP6_DST_UNREACH,
	};

	switch (error) {
	case EACCES:
	case EPERM:
		said.code = is_inet ? ICMP_PKT_FILTERED :
				      ICMP6_DST_UNREACH_ADMIN;
		break;
	case ENETUNREACH:
		said.code = is_inet ? ICMP_NET_UNREACH :
				      ICMP6_DST_UNREACH_NOROUTE;
		break;
	default:
		said.code = is_inet ? ICMP_HOST_UNREACH :
				      ICMP6_DST_UNREACH_ADDR;
		break;
	}
	return said;
}

/**
 * vmc_packet_put_error - tell the sender of a packet what became of it
 * @ret_bytes: the error, an IP packet
 * @from: who says so
 * @about: the packet
 * @error: what
 *
 * Return: its length.
 */
uint32_t vmc_packet_put_error(uint8_t ret_bytes[VMC_PACKET_ERROR_BYTES],
			      const struct vmc_name *from,
			      const struct vmc_packet *about,
			      struct vmc_packet_error error)
{
	uint8_t *at = ret_bytes + vmc_packet_header_bytes(from);
	uint32_t quote_bytes = about->nr_bytes;
	struct icmphdr icmp = {
		.type = error.type,
		.code = error.code,
		.un.gateway = htonl(error.info),
	};

	if (quote_bytes > QUOTE_BYTES)
		quote_bytes = QUOTE_BYTES;
	memcpy(at, &icmp, sizeof(icmp));
	memcpy(at + sizeof(icmp), about->bytes, quote_bytes);
	return vmc_packet_finish(ret_bytes, from, &about->from, OWN_HOP_LIMIT,
				 (uint32_t)sizeof(icmp) + quote_bytes);
}
