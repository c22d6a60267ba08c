/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Messages between guest and switch. Normative text: doc/protocol.md.
 *
 * Three virtqueues, one message a descriptor chain:
 *
 *   request   guest to switch: struct vmc_msg, device-readable, strictly in
 *             order; answers come on the event queue
 *   event     switch to guest: the guest posts device-writable buffers of
 *             VMC_MSG_MAX_BYTES or more; in order, but KICK may overtake
 *   doorbell  guest to switch: struct vmc_doorbell, device-readable
 *
 * The device has no configuration space that a driver may read: while the
 * switch is away QEMU aborts on such a read. All that a guest needs to know
 * comes in WELCOME.
 *
 * Order: ATTACH (sent whenever the switch takes over the queues), HELLO,
 * WELCOME; then everything else. A HELLO at any time starts the VM afresh: the
 * switch drops all its listeners, circuits and links first. Whatever the guest
 * sent before HELLO is answered by nobody.
 *
 * All fields are little-endian, padding is explicit and zero. Errors are Linux
 * errno values, positive.
 */
#ifndef VMC_PROTO_WIRE_H
#define VMC_PROTO_WIRE_H

#include <linux/types.h>
#include "limits.h"

#define VMC_SIZE_IS(type, bytes) \
	_Static_assert(sizeof(type) == (bytes), #type " has the wrong size")
#define VMC_OFFSET_IS(type, field, bytes) \
	_Static_assert(__builtin_offsetof(type, field) == (bytes), \
		       #type "." #field " is in the wrong place")

/* Message types. Requests are below 64, events from 64 on. */
#define VMC_MSG_HELLO			1
#define VMC_MSG_LISTEN			2
#define VMC_MSG_UNLISTEN		3
#define VMC_MSG_CONNECT			4
#define VMC_MSG_CANCEL			5
#define VMC_MSG_ACCEPT			6
#define VMC_MSG_REFUSE			7
#define VMC_MSG_CLOSE			8
#define VMC_MSG_LINK_RELEASED		9

#define VMC_MSG_ATTACH			64
#define VMC_MSG_WELCOME			65
#define VMC_MSG_LISTENING		66
#define VMC_MSG_LINK_UP			67
#define VMC_MSG_LINK_DOWN		68
#define VMC_MSG_OFFER			69
#define VMC_MSG_CONNECTED		70
#define VMC_MSG_FAILED			71
#define VMC_MSG_RESET			72
#define VMC_MSG_KICK			73

/* Address families on the wire (not the host's AF_ numbers). */
#define VMC_FAMILY_INET			4
#define VMC_FAMILY_INET6		6

/*
 * One endpoint name. An IPv4 address stands in the first four bytes in network
 * order, the rest is zero. The port is in host order, little-endian.
 */
struct vmc_name {
	__u8	address[16];
	__le16	port;
	__u8	family;		/* VMC_FAMILY_ */
	__u8	pad;
	__le32	scope;		/* reserved for IPv6 scope ids, 0 */
};
VMC_SIZE_IS(struct vmc_name, 24);

/*
 * A circuit as one VM and the switch call it. The slot indexes the rings of
 * the link; the generation tells its successive users apart.
 */
struct vmc_circuit_id {
	__le32	link;		/* below VMC_MAX_LINKS */
	__le32	slot;		/* below VMC_SLOTS_PER_LINK */
	__le32	generation;	/* never 0 */
	__le32	pad;
};
VMC_SIZE_IS(struct vmc_circuit_id, 16);

/* Where one circuit's rings lie. Offsets are from the segment's start, bytes. */
struct vmc_ring_place {
	__le64	tx_offset;	/* in the segment that this VM writes */
	__le64	rx_offset;	/* in the segment that the peer writes */
	__le32	tx_bytes;	/* power of two, VMC_RING_MIN_BYTES and up */
	__le32	rx_bytes;
};
VMC_SIZE_IS(struct vmc_ring_place, 24);

/* Features, of HELLO and WELCOME. */
#define VMC_FEATURE_UPLINK		1U	/* WELCOME: addresses that no VM owns may be dialled */
#define VMC_FEATURE_DATAGRAM		2U	/* both: datagram circuits may be dialled, or offered */
#define VMC_FEATURE_UPLINK_DATAGRAM	4U	/* WELCOME: likewise over the uplink */
#define VMC_FEATURE_HUB			8U	/* WELCOME: the hub may be dialled */

/* Flags of CONNECT and OFFER. */
#define VMC_CIRCUIT_DATAGRAM		1U	/* the rings hold datagrams, see record.h */
#define VMC_CIRCUIT_HUB			2U	/* CONNECT: to the switch's hub; records are IP packets */

/* HELLO: the guest starts or starts again. Answer: WELCOME. */
struct vmc_hello {
	__le32	version;	/* VMC_PROTOCOL_VERSION */
	__le32	pad;
	__le64	features;	/* VMC_FEATURE_ */
	__le64	epoch;		/* of the ATTACH that it answers */
};
VMC_SIZE_IS(struct vmc_hello, 24);

/*
 * LISTEN: register a listener. Answer: LISTENING with the same listener.
 * The wildcard is the all-zero address. An IPv6 wildcard that is not v6only
 * takes IPv4 connections too. Several listeners may share one name
 * (SO_REUSEPORT); the switch spreads connections over them.
 */
struct vmc_listen {
	__le32	listener;	/* chosen by the guest, unique in the VM */
	__u8	v6only;
	__u8	pad;
	__le16	room;		/* as in ACCEPT, at most 65535 */
	struct vmc_name local;
	__le32	tx_bytes;	/* wished ring sizes, 0: default */
	__le32	rx_bytes;
};
VMC_SIZE_IS(struct vmc_listen, 40);

/* UNLISTEN: forget a listener. No answer; OFFERs under way may still come. */
struct vmc_unlisten {
	__le32	listener;
	__le32	pad;
};
VMC_SIZE_IS(struct vmc_unlisten, 8);

/* CONNECT: answer CONNECTED or FAILED with the same cookie. */
struct vmc_connect {
	__le32	cookie;		/* chosen by the guest, unique among its open connects */
	__le32	tx_bytes;	/* wished ring sizes, 0: default */
	__le32	rx_bytes;
	__le32	flags;		/* VMC_CIRCUIT_ */
	struct vmc_name local;
	struct vmc_name remote;
};
VMC_SIZE_IS(struct vmc_connect, 64);

/*
 * CANCEL: the guest no longer wants this connect. No answer. If CONNECTED was
 * already under way, the guest sets RST in its control page, rings, and answers
 * with CLOSE.
 */
struct vmc_cancel {
	__le32	cookie;
	__le32	pad;
};
VMC_SIZE_IS(struct vmc_cancel, 8);

/* ACCEPT: answers OFFER; the guest's end is ready to receive. */
struct vmc_accept {
	struct vmc_circuit_id id;
	__le32	room;		/* OFFERs of this listener that it will accept at once */
	__le32	pad;
};
VMC_SIZE_IS(struct vmc_accept, 24);

/* REFUSE: answers OFFER; the guest will not touch the rings. */
struct vmc_refuse {
	struct vmc_circuit_id id;
	__le32	error;		/* errno for the connecting side, 0: ECONNREFUSED */
	__le32	pad;
};
VMC_SIZE_IS(struct vmc_refuse, 24);

/*
 * CLOSE: the guest's end is gone and touches the rings no more. No answer.
 * The slot is free when both ends said so.
 */
struct vmc_close {
	struct vmc_circuit_id id;
};
VMC_SIZE_IS(struct vmc_close, 16);

/*
 * LINK_RELEASED: answers LINK_DOWN, and nothing else; the guest no longer maps
 * the segments. HELLO needs none: a guest sends it when it maps no segment.
 */
struct vmc_link_released {
	__le32	link;
	__le32	generation;
};
VMC_SIZE_IS(struct vmc_link_released, 8);

/* ATTACH: the switch serves the queues; the guest answers HELLO. */
struct vmc_attach {
	__le32	version;
	__le32	pad;
	__le64	epoch;		/* differs with each start of the switch */
};
VMC_SIZE_IS(struct vmc_attach, 16);

/* One address of the VM with the length of its network's prefix. */
struct vmc_address {
	__u8	address[16];
	__u8	family;		/* VMC_FAMILY_ */
	__u8	prefix;		/* bits */
	__u8	pad[6];
};
VMC_SIZE_IS(struct vmc_address, 24);

/* WELCOME: answers HELLO. */
struct vmc_welcome {
	__le32	version;
	__le32	error;		/* 0, or why the guest is not served */
	__le64	features;	/* VMC_FEATURE_ */
	__le64	epoch;
	__le64	switch_page;	/* window offset of struct vmc_switch_page */
	__le32	nr_addresses;	/* at most VMC_MAX_ADDRESSES */
	__le32	nr_resolvers;	/* at most VMC_MAX_RESOLVERS */
	char	name[VMC_NAME_BYTES];		/* of the VM, zero-terminated */
	struct vmc_address addresses[VMC_MAX_ADDRESSES];
	/* Name servers that the guest may ask over TCP; without prefix. */
	struct vmc_address resolvers[VMC_MAX_RESOLVERS];
};
VMC_SIZE_IS(struct vmc_welcome, 216);

/* LISTENING: answers LISTEN. */
struct vmc_listening {
	__le32	listener;
	__le32	error;		/* 0, EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENOBUFS */
};
VMC_SIZE_IS(struct vmc_listening, 8);

/* Flags of LINK_UP. */
#define VMC_LINK_UPLINK			1U	/* the peer is the switch itself */
#define VMC_LINK_END_1			2U	/* a process is the second end */

/*
 * LINK_UP: both segments of a link are in the window. Comes before the first
 * OFFER or CONNECTED that names the link.
 */
struct vmc_link_up {
	__le32	link;		/* below VMC_MAX_LINKS */
	__le32	generation;	/* never 0 */
	__le64	tx_window;	/* window offset of the segment this VM writes */
	__le64	rx_window;	/* window offset of the segment the peer writes */
	__le64	segment_bytes;	/* of each */
	__le32	flags;		/* VMC_LINK_ */
	__le32	pad;
	char	peer[VMC_NAME_BYTES];
};
VMC_SIZE_IS(struct vmc_link_up, 72);

/*
 * LINK_DOWN: the peer is gone; every circuit of the link is reset. The guest
 * answers LINK_RELEASED when it no longer uses the segments; no CLOSE is due
 * for the link's circuits.
 */
struct vmc_link_down {
	__le32	link;
	__le32	generation;
};
VMC_SIZE_IS(struct vmc_link_down, 8);

/*
 * OFFER: somebody connects to a listener, or begins to send datagrams to a
 * name, of which no listener tells. Answer: ACCEPT or REFUSE.
 */
struct vmc_offer {
	struct vmc_circuit_id id;
	struct vmc_ring_place place;
	__le32	listener;	/* 0: a datagram circuit */
	__le32	flags;		/* VMC_CIRCUIT_ */
	struct vmc_name local;		/* the name that was dialled */
	struct vmc_name remote;		/* who dials */
};
VMC_SIZE_IS(struct vmc_offer, 96);

/* CONNECTED: answers CONNECT. */
struct vmc_connected {
	struct vmc_circuit_id id;
	struct vmc_ring_place place;
	__le32	cookie;
	__le32	pad;
};
VMC_SIZE_IS(struct vmc_connected, 48);

/* FAILED: answers CONNECT. */
struct vmc_failed {
	__le32	cookie;
	__le32	error;		/* errno, never 0 */
};
VMC_SIZE_IS(struct vmc_failed, 8);

/*
 * RESET: the switch broke this circuit, or withdraws an OFFER whose dialler
 * went away. The guest forgets the OFFER and answers CLOSE; or it resets its
 * socket, and CLOSE comes when the program closes that. If the guest refused
 * meanwhile, REFUSE was the answer.
 */
struct vmc_reset {
	struct vmc_circuit_id id;
	__le32	error;		/* errno for the socket, ECONNRESET as a rule */
	__le32	pad;
};
VMC_SIZE_IS(struct vmc_reset, 24);

/* KICK: look at the doorbell bitmap of this link. */
struct vmc_kick {
	__le32	link;
	__le32	pad;
};
VMC_SIZE_IS(struct vmc_kick, 8);

/* Every message: this header, then the body that the type tells. */
struct vmc_msg {
	__le16	type;		/* VMC_MSG_ */
	__le16	bytes;		/* header and body */
	__le32	pad;
	union {
		struct vmc_hello	hello;
		struct vmc_listen	listen;
		struct vmc_unlisten	unlisten;
		struct vmc_connect	connect;
		struct vmc_cancel	cancel;
		struct vmc_accept	accept;
		struct vmc_refuse	refuse;
		struct vmc_close	close;
		struct vmc_link_released link_released;
		struct vmc_attach	attach;
		struct vmc_welcome	welcome;
		struct vmc_listening	listening;
		struct vmc_link_up	link_up;
		struct vmc_link_down	link_down;
		struct vmc_offer	offer;
		struct vmc_connected	connected;
		struct vmc_failed	failed;
		struct vmc_reset	reset;
		struct vmc_kick		kick;
		__u8			raw[VMC_MSG_MAX_BYTES - 8];
	};
};
VMC_SIZE_IS(struct vmc_msg, VMC_MSG_MAX_BYTES);

/**
 * vmc_msg_body_bytes - the exact size of a message type's body
 * @type: VMC_MSG_, in host order, unchecked
 *
 * Return: bytes, or 0 for a type that does not exist.
 */
static inline unsigned int vmc_msg_body_bytes(unsigned int type)
{
	switch (type) {
	case VMC_MSG_HELLO:		return sizeof(struct vmc_hello);
	case VMC_MSG_LISTEN:		return sizeof(struct vmc_listen);
	case VMC_MSG_UNLISTEN:		return sizeof(struct vmc_unlisten);
	case VMC_MSG_CONNECT:		return sizeof(struct vmc_connect);
	case VMC_MSG_CANCEL:		return sizeof(struct vmc_cancel);
	case VMC_MSG_ACCEPT:		return sizeof(struct vmc_accept);
	case VMC_MSG_REFUSE:		return sizeof(struct vmc_refuse);
	case VMC_MSG_CLOSE:		return sizeof(struct vmc_close);
	case VMC_MSG_LINK_RELEASED:	return sizeof(struct vmc_link_released);
	case VMC_MSG_ATTACH:		return sizeof(struct vmc_attach);
	case VMC_MSG_WELCOME:		return sizeof(struct vmc_welcome);
	case VMC_MSG_LISTENING:		return sizeof(struct vmc_listening);
	case VMC_MSG_LINK_UP:		return sizeof(struct vmc_link_up);
	case VMC_MSG_LINK_DOWN:		return sizeof(struct vmc_link_down);
	case VMC_MSG_OFFER:		return sizeof(struct vmc_offer);
	case VMC_MSG_CONNECTED:		return sizeof(struct vmc_connected);
	case VMC_MSG_FAILED:		return sizeof(struct vmc_failed);
	case VMC_MSG_RESET:		return sizeof(struct vmc_reset);
	case VMC_MSG_KICK:		return sizeof(struct vmc_kick);
	default:			return 0;
	}
}

/* What one descriptor of the doorbell queue holds. */
struct vmc_doorbell {
	__le32	link;
	__le32	pad;
};
VMC_SIZE_IS(struct vmc_doorbell, 8);

#endif /* VMC_PROTO_WIRE_H */
