/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What lies in shared memory, and the arithmetic on it. Normative text:
 * doc/protocol.md.
 *
 * A link joins two VMs (or the two ends of a VM's circuits to itself). It has
 * two segments; each side writes one of them and only reads the other:
 *
 *   0                              struct vmc_segment_header
 *   VMC_CTL_OFFSET                 struct vmc_ctl [VMC_SLOTS_PER_LINK]
 *   VMC_RINGS_OFFSET               rings, page-aligned, placed by the switch
 *
 * A circuit has a slot: one ring and one control page in each segment. All
 * that an end says about a circuit stands in its own control page, so that a
 * page can be given to an application without giving it anything else.
 *
 * Data and sleeping (producer P, consumer C; each letter pairs with its twin):
 *
 *   P: write data                        C: load prod         acquire (A')
 *      store prod        release (A)        check, copy data out
 *      full barrier      (B)                store cons        release (C)
 *      load C.data_wait, ring if new        full barrier      (D)
 *   P: load cons         acquire (C')       load P.space_wait, ring if new and
 *      check, write data                    the ring is roomy
 *   before C sleeps:  data_wait++,  full barrier (B'), look at prod again
 *   before P sleeps:  space_wait++, full barrier (D'), look at cons again
 *
 * prod and cons run freely over 2^32; their difference is the fill, and a fill
 * above the ring's size is a lie. A wait counter that differs from the value
 * last seen asks for one doorbell; it is remembered before the bell is rung.
 *
 * Closing: FIN and RST are set after the last store to prod with release, and
 * read with acquire before prod, so who sees FIN sees the final prod. GONE says
 * that the end reads no more. Each change of the flags rings.
 *
 * Doorbell (ringer R, listener L), one bit for each slot, in two bitmaps:
 *
 *   R: change what the bell tells of         L: ack ^= bits of pending ^ ack
 *      full barrier      (E)                    full barrier     (E')
 *      pending ^ ack has the bit? done          look at those circuits
 *      pending ^= bit
 *      full barrier      (F)                 L, when done: kick_wanted++
 *      load L.kick_wanted; if new: kick         full barrier     (F')
 *                                               look at the bitmaps again
 *
 * pending stands in R's segment, ack in L's; each keeps a private copy and
 * only ever stores to the shared one.
 */
#ifndef VMC_PROTO_RING_H
#define VMC_PROTO_RING_H

#include <linux/types.h>
#include "limits.h"
#include "wire.h"

#define VMC_LINE_BYTES			64
#define VMC_BELL_WORDS			(VMC_SLOTS_PER_LINK / 64)

#define VMC_SEGMENT_MAGIC		0x31474553434d56ULL	/* "VMCSEG1" */
#define VMC_SWITCH_MAGIC		0x31475753434d56ULL	/* "VMCSWG1" */

/* Flags of a control page, written by its owner. */
#define VMC_CTL_FIN			1U	/* prod is final */
#define VMC_CTL_RST			2U	/* reset; what is in the ring may be read */
#define VMC_CTL_GONE			4U	/* reads no more */

/*
 * The start of a segment. Writer: the side that writes the segment, but for
 * magic, which the switch writes before anyone maps it. All else is 0 at first.
 */
struct vmc_segment_header {
	__le64	magic;
	__u8	pad0[VMC_LINE_BYTES - 8];

	__le32	kick_wanted;	/* counts: "send me a KICK, I do not look" */
	__u8	pad1[VMC_LINE_BYTES - 4];

	__le64	pending[VMC_BELL_WORDS];	/* bells this side rings */
	__le64	ack[VMC_BELL_WORDS];		/* bells this side has heard */
};
VMC_OFFSET_IS(struct vmc_segment_header, kick_wanted, 64);
VMC_OFFSET_IS(struct vmc_segment_header, pending, 128);
VMC_SIZE_IS(struct vmc_segment_header, 128 + 16 * VMC_BELL_WORDS);

/* Bits of vmc_options.bits. */
#define VMC_OPTION_NODELAY		1U	/* TCP_NODELAY */
#define VMC_OPTION_KEEPALIVE		2U	/* SO_KEEPALIVE */

/*
 * What a program chose for its connection. The uplink gives it to the host's
 * socket; any other peer does not look. A number of 0 leaves the host's default.
 */
struct vmc_options {
	__le32	serial;			/* differs after each change */
	__le32	bits;			/* VMC_OPTION_ */
	__le32	keep_idle_s;		/* TCP_KEEPIDLE */
	__le32	keep_interval_s;	/* TCP_KEEPINTVL */
	__le32	keep_count;		/* TCP_KEEPCNT */
	__le32	user_timeout_ms;	/* TCP_USER_TIMEOUT */
	__le32	figures_wanted;		/* counts: "tell me how it goes" */
	__u8	pad[VMC_LINE_BYTES - 28];
};
VMC_SIZE_IS(struct vmc_options, VMC_LINE_BYTES);

/*
 * How the host's TCP does, as its TCP_INFO has it. The uplink writes it when
 * figures_wanted changed, then serial, then rings.
 */
struct vmc_figures {
	__le32	serial;			/* the figures_wanted that this answers */
	__le32	rtt_us;
	__le32	rtt_var_us;
	__le32	snd_mss;
	__le32	rcv_mss;
	__le32	adv_mss;
	__le32	path_mtu;
	__le32	snd_cwnd;		/* segments */
	__le32	snd_ssthresh;		/* segments */
	__le32	rto_us;
	__le32	unacked;		/* segments */
	__le32	lost;			/* segments */
	__le32	retransmits;		/* of the oldest segment */
	__le32	total_retransmits;	/* segments */
	__le32	min_rtt_us;
	__le32	reordering;
	__le64	pacing_rate;		/* bytes a second */
	__le64	delivery_rate;		/* bytes a second */
	__le64	bytes_acked;
	__le64	bytes_received;
	__u8	pad[VMC_LINE_BYTES - 32];
};
VMC_SIZE_IS(struct vmc_figures, 2 * VMC_LINE_BYTES);

/*
 * One end's control page of one circuit. Writer: that end. The switch clears
 * it before each use of the slot. Lines are grouped by who polls them.
 */
struct vmc_ctl {
	__le32	prod;		/* bytes ever put into this end's tx ring */
	__le32	flags;		/* VMC_CTL_ */
	__le32	urgent;		/* prod behind the last urgent byte, 0: none */
	__u8	pad0[VMC_LINE_BYTES - 12];

	__le32	cons;		/* bytes ever taken from this end's rx ring */
	__u8	pad1[VMC_LINE_BYTES - 4];

	__le32	data_wait;	/* counts: "ring when there is data" */
	__le32	space_wait;	/* counts: "ring when there is space" */
	__u8	pad2[VMC_LINE_BYTES - 8];

	struct vmc_options options;	/* written by a guest */
	struct vmc_figures figures;	/* written by the uplink */

	/* Of a datagram circuit; the first three only ever count up. */
	__le32	unsent;		/* datagrams given up while the ring was full */
	__le32	refused;	/* that came and were not for the socket */
	__le32	errors;		/* counts what error tells; writer: the uplink */
	__le32	error;		/* errno of a datagram that reached nobody */
	__u8	pad3[VMC_LINE_BYTES - 16];
	__u8	pad4[VMC_LINE_BYTES];

	__le64	groups[VMC_GROUP_BITS / 64];	/* to the hub: joined, see hub.h */

	__u8	pad5[VMC_PAGE_BYTES - 8 * VMC_LINE_BYTES - VMC_GROUP_BITS / 8];
};
VMC_OFFSET_IS(struct vmc_ctl, cons, 64);
VMC_OFFSET_IS(struct vmc_ctl, data_wait, 128);
VMC_OFFSET_IS(struct vmc_ctl, options, 192);
VMC_OFFSET_IS(struct vmc_ctl, figures, 256);
VMC_OFFSET_IS(struct vmc_ctl, unsent, 384);
VMC_OFFSET_IS(struct vmc_ctl, errors, 392);
VMC_OFFSET_IS(struct vmc_ctl, groups, 512);
VMC_SIZE_IS(struct vmc_ctl, VMC_PAGE_BYTES);

#define VMC_CTL_OFFSET			(4ULL * VMC_PAGE_BYTES)
#define VMC_RINGS_OFFSET		(VMC_CTL_OFFSET + \
					 (__u64)VMC_SLOTS_PER_LINK * \
					 VMC_PAGE_BYTES)
_Static_assert(sizeof(struct vmc_segment_header) <= VMC_CTL_OFFSET,
	       "the segment header overlaps the control pages");

/* How an end that is a process sleeps: bits of vmc_wakeup.waits_by. */
#define VMC_WAITS_FUTEX			1U	/* on rings */
#define VMC_WAITS_SOCKET		2U	/* in poll(), on the circuit's socket */

/*
 * How a bell reaches an end that is a process, for which no bitmap is kept: see
 * "Endpoints" in doc/protocol.md. Both ends may write it; what it says makes
 * somebody look, and no more.
 */
struct vmc_wakeup {
	__le32	rings;		/* counts the bells for this end; writer: who rings */
	__le32	waits_by;	/* VMC_WAITS_; 0: the switch hears for this end */
	__u8	pad[VMC_LINE_BYTES - 8];
};
VMC_SIZE_IS(struct vmc_wakeup, VMC_LINE_BYTES);

/* A link's wake area, if one of its ends is a process: for each slot this. */
struct vmc_wake_slot {
	struct vmc_wakeup ends[2];	/* as the link's ends are numbered */
};
#define VMC_WAKE_BYTES			(VMC_SLOTS_PER_LINK * \
					 sizeof(struct vmc_wake_slot))

/* The switch's own page in each VM's window. Writer: the switch. */
struct vmc_switch_page {
	__le64	magic;
	__le64	epoch;
	__le32	heartbeat;	/* advances each VMC_HEARTBEAT_MS */
	__u8	pad[VMC_PAGE_BYTES - 20];
};
VMC_SIZE_IS(struct vmc_switch_page, VMC_PAGE_BYTES);

/**
 * vmc_ring_size_is_valid - whether a ring may have this size
 * @bytes: size in bytes, unchecked
 */
static inline int vmc_ring_size_is_valid(__u32 bytes)
{
	return bytes >= VMC_RING_MIN_BYTES && bytes <= VMC_RING_MAX_BYTES &&
	       !(bytes & (bytes - 1));
}

/**
 * vmc_ring_size_for - the ring size that serves a wish
 * @wish_bytes: wished size in bytes, 0 for the default; clamped
 *
 * Return: a valid size, the wish rounded up to a power of two.
 */
static inline __u32 vmc_ring_size_for(__u32 wish_bytes)
{
	__u32 bytes = VMC_RING_MIN_BYTES;

	if (!wish_bytes)
		return VMC_RING_DEFAULT_BYTES;
	while (bytes < wish_bytes && bytes < VMC_RING_MAX_BYTES)
		bytes <<= 1;
	return bytes;
}

/**
 * vmc_ring_fill - bytes in the ring
 * @prod: bytes ever put in
 * @cons: bytes ever taken out
 *
 * Return: the fill; above the ring's size when one of the two is a lie.
 */
static inline __u32 vmc_ring_fill(__u32 prod, __u32 cons)
{
	return prod - cons;
}

/**
 * vmc_ring_span - how far one can go from an index without wrapping
 * @index: free-running index
 * @ring_bytes: size of the ring, a power of two
 * @wish_bytes: upper bound
 *
 * Return: the smaller of @wish_bytes and the distance to the ring's end.
 */
static inline __u32 vmc_ring_span(__u32 index, __u32 ring_bytes,
				  __u32 wish_bytes)
{
	__u32 to_end = ring_bytes - (index & (ring_bytes - 1));

	return wish_bytes < to_end ? wish_bytes : to_end;
}

/**
 * vmc_ring_is_roomy - whether a waiting producer should be woken
 * @space_bytes: free bytes
 * @ring_bytes: size of the ring
 *
 * A third free, as TCP has it: one wake-up for much space, and poll() and the
 * bell agree.
 */
static inline int vmc_ring_is_roomy(__u32 space_bytes, __u32 ring_bytes)
{
	return space_bytes >= ring_bytes / 3;
}

/**
 * vmc_ring_fits - whether a ring lies inside a segment, after its header
 * @offset: ring's offset in the segment, bytes, unchecked
 * @bytes: ring's size, unchecked
 * @segment_bytes: the segment's size, trusted
 */
static inline int vmc_ring_fits(__u64 offset, __u32 bytes, __u64 segment_bytes)
{
	return vmc_ring_size_is_valid(bytes) && offset >= VMC_RINGS_OFFSET &&
	       !(offset & (VMC_PAGE_BYTES - 1)) && offset <= segment_bytes &&
	       bytes <= segment_bytes - offset;
}

#endif /* VMC_PROTO_RING_H */
