/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Every limit and timeout that both sides of the wire must agree on, with its
 * unit. Owns no state. Included by the module, the switch, the library and the
 * tests; doc/protocol.md prints the values from here.
 */
#ifndef VMC_PROTO_LIMITS_H
#define VMC_PROTO_LIMITS_H

/* The protocol version that HELLO and WELCOME carry. */
#define VMC_PROTOCOL_VERSION		2

/*
 * The virtio device id of the switch. QEMU aborts on ids that it has no name
 * for and a Linux driver claims most of the others; 17 is named and unclaimed.
 */
#define VMC_VIRTIO_ID			17

/* Private protocol number that the redirect gives to inet stream sockets. */
#define VMC_IPPROTO_STREAM		261

/* The same for datagram sockets. */
#define VMC_IPPROTO_DATAGRAM		260

/* Virtqueues, see wire.h for what travels on each. */
#define VMC_QUEUE_REQUEST		0
#define VMC_QUEUE_EVENT			1
#define VMC_QUEUE_DOORBELL		2
#define VMC_NR_QUEUES			3
#define VMC_MAX_QUEUE_SIZE		1024

/* Largest message on any queue, bytes; event buffers are at least as large. */
#define VMC_MSG_MAX_BYTES		256

/* Shared-memory region (virtio shmid) that holds the window. */
#define VMC_WINDOW_SHMID		0

/* Unit of every offset and size in shared memory, bytes. */
#define VMC_PAGE_BYTES			4096

/* A VM has at most this many links, one for each peer (two for itself). */
#define VMC_MAX_LINKS			60

/*
 * Segments mapped at once in one VM: two for each link and the switch page.
 * QEMU 11.1 aborts near 509 mappings and each costs more than the one before.
 */
#define VMC_MAX_SEGMENTS		(2 * VMC_MAX_LINKS + 1)

/* Slots, that is circuits, of one link. A multiple of 64. */
#define VMC_SLOTS_PER_LINK		16384

/* Size of a segment: header, control pages, rings. Sparse. Bytes. */
#define VMC_SEGMENT_BYTES		(512ULL << 20)

/* The window of a VM, bytes: a power of two, one stride for each segment. */
#define VMC_WINDOW_BYTES		(64ULL << 30)

/* Ring sizes, bytes, powers of two. */
#define VMC_RING_MIN_BYTES		(16U << 10)
#define VMC_RING_MAX_BYTES		(4U << 20)
#define VMC_RING_DEFAULT_BYTES		(1U << 20)

/* Largest datagram: what UDP over IPv6 can carry. Bytes. */
#define VMC_DATAGRAM_MAX_BYTES		65527

/* Wished size of a datagram circuit's rings, unless a program chose. Bytes. */
#define VMC_DATAGRAM_RING_BYTES		(256U << 10)

/* Largest packet for the hub: an IPv6 header and all it can announce. Bytes. */
#define VMC_PACKET_MAX_BYTES		(40 + 65535)

/* Wished size of the rings of a VM's circuit to the hub. Bytes. */
#define VMC_HUB_RING_BYTES		(1U << 20)

/* Bits of the map in which a VM marks the groups that it has joined. */
#define VMC_GROUP_BITS			2048

/* Addresses that one VM may own. */
#define VMC_MAX_ADDRESSES		4

/* Name servers that WELCOME can tell of. */
#define VMC_MAX_RESOLVERS		2

/* How long a guest waits for the uplink's figures for TCP_INFO, ms. */
#define VMC_FIGURES_TIMEOUT_MS		100

/* VM and network names, bytes with the terminating zero. */
#define VMC_NAME_BYTES			32

/*
 * Liveness of the switch: it advances its heartbeat this often, and a guest
 * with circuits that sees no advance in this many consecutive looks, one each
 * VMC_LIVENESS_LOOK_MS, takes the switch for dead. Looks are counted, not
 * time: when the whole machine stalls, the guest stalls too.
 */
#define VMC_HEARTBEAT_MS		50
#define VMC_LIVENESS_LOOK_MS		150
#define VMC_LIVENESS_LOOKS		5

/* How long a guest waits for the switch's answer to LISTEN, ms. */
#define VMC_LISTEN_TIMEOUT_MS		2000

#endif /* VMC_PROTO_LIMITS_H */
