/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_PACKET_H
#define VMC_SWITCH_PACKET_H

#include <stdint.h>

#include "proto/wire.h"

enum vmc_packet_kind {
	VMC_PACKET_UDP,
	VMC_PACKET_ECHO_REQUEST,
	VMC_PACKET_ECHO_REPLY,
};

/* An IP packet of a kind that the hub knows. */
struct vmc_packet {
	enum vmc_packet_kind kind;
	struct vmc_name from;		/* port: of an echo its identifier */
	struct vmc_name to;		/* port: of an echo 0 */
	uint8_t hop_limit;
	const uint8_t *bytes;		/* all of it */
	uint32_t nr_bytes;
	const uint8_t *payload;		/* what follows the IP header */
	uint32_t payload_bytes;
};

/* An ICMP error as the wire has it. */
struct vmc_packet_error {
	uint8_t type;
	uint8_t code;
	uint32_t info;			/* of PACKET TOO BIG and the like */
};

/* Room for any of the errors that vmc_packet_put_error() makes. */
#define VMC_PACKET_ERROR_BYTES	(40 + 8 + 128)

int vmc_packet_parse(const uint8_t *raw, uint32_t nr_bytes,
		     struct vmc_packet *ret_packet);
uint32_t vmc_packet_header_bytes(const struct vmc_name *name);
uint32_t vmc_packet_finish(uint8_t *packet, const struct vmc_name *from,
			   const struct vmc_name *to, uint8_t hop_limit,
			   uint32_t icmp_bytes);
struct vmc_packet_error vmc_packet_error_for(const struct vmc_name *name,
					     int error);
uint32_t vmc_packet_put_error(uint8_t ret_bytes[VMC_PACKET_ERROR_BYTES],
			      const struct vmc_name *from,
			      const struct vmc_packet *about,
			      struct vmc_packet_error error);

#endif /* VMC_SWITCH_PACKET_H */
