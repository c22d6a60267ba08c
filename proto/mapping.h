/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A circuit mapped into a program: what mmap() and ioctl() on a connected
 * circuit socket offer. Normative text: doc/protocol.md.
 *
 * mmap() maps one whole area a call, MAP_SHARED, at the area's offset:
 *
 *   area           length        protection   holds
 *   VMC_MAP_OWN    one page      read, write  this end's struct vmc_ctl
 *   VMC_MAP_PEER   one page      read         the peer's struct vmc_ctl
 *   VMC_MAP_TX     2 * tx_bytes  read, write  the ring to the peer, twice
 *   VMC_MAP_RX     2 * rx_bytes  read         the ring from the peer, twice
 *
 * While VMC_MAP_OWN is mapped, prod and cons of that page are the program's;
 * it begins with what stands there. flags, data_wait and space_wait stay the
 * kernel's, which says FIN at shutdown() and asks for bells in poll().
 */
#ifndef VMC_PROTO_MAPPING_H
#define VMC_PROTO_MAPPING_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VMC_MAP_OWN		0ULL
#define VMC_MAP_PEER		(1ULL << 32)
#define VMC_MAP_TX		(2ULL << 32)
#define VMC_MAP_RX		(3ULL << 32)

/* Native byte order: it does not leave the machine. */
struct vmc_map_info {
	__u32	tx_bytes;	/* size of the ring to the peer */
	__u32	rx_bytes;	/* size of the ring from the peer */
};

/* Whether the socket is a circuit, and how large its rings are. */
#define VMC_IOC_MAP_INFO	_IOR(0xB7, 1, struct vmc_map_info)
/* Ring the peer: its wait counter changed, and there is what it waits for. */
#define VMC_IOC_RING		_IO(0xB7, 2)

#endif /* VMC_PROTO_MAPPING_H */
