/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_CIRCUIT_H
#define VMC_CIRCUIT_H

#include <linux/atomic.h>
#include <linux/rcupdate.h>
#include "../../proto/ring.h"
#include "../../proto/state.h"

struct seq_file;
struct vmc_circuit;
struct vmc_link;

/**
 * struct vmc_circuit_user - what those who have a circuit are told
 * @signal: a doorbell rang; bottom halves off
 * @link_down: the link is dead, let go
 * @reset: the switch broke the circuit; a positive errno
 * @show_names: print the two names; what is read is a hint
 * @is_service: the module's own circuit: not counted, and not missed at once
 *		when the switch dies
 *
 * All are called under RCU, which keeps the circuit and its owner.
 */
struct vmc_circuit_user {
	void (*signal)(struct vmc_circuit *circuit);
	void (*link_down)(struct vmc_circuit *circuit);
	void (*reset)(struct vmc_circuit *circuit, int error);
	void (*show_names)(struct seq_file *seq,
			   const struct vmc_circuit *circuit);
	bool is_service;
};

/**
 * struct vmc_circuit - this VM's end of a circuit
 *
 * Born with the socket's CONNECTED or OFFER, freed by RCU after it let go.
 * Between, exactly one owner has it: a socket, or a flow.
 */
struct vmc_circuit {
	/* Fixed after creation. */
	struct vmc_link *link;
	const struct vmc_circuit_user *user;
	void *owner;			/* lives as long, freed by RCU */
	u32 slot;
	u32 generation;
	u32 tx_bytes;
	u32 rx_bytes;
	struct vmc_ctl *own;
	const struct vmc_ctl *peer;
	u8 *tx;
	const u8 *rx;

	/* Socket lock. The truth; shared memory only gets copies. */
	u32 prod;
	u32 cons;
	u32 held;		/* bytes behind prod that the peer does not see yet */
	u32 tx_limit;		/* so much of the ring the socket fills */
	u32 flags;
	u32 peer_data_wait;	/* last answered */
	u32 peer_space_wait;
	enum vmc_state state;
	bool is_lying;		/* the peer was caught, or a program */
	bool is_cut;		/* the peer's data ends at rx_end for us */
	bool is_mapped;		/* prod and cons in @own are a program's */
	u32 rx_end;		/* if is_cut */
	u32 options_serial;	/* of what we told the uplink last */
	u32 figures_wanted;	/* of what we asked it last */
	u64 copied_in;		/* bytes that went into the ring by system calls */
	u64 copied_out;		/* and out of the other, peeks included */

	/* The bell. */
	u32 figures_heard;	/* which answer we woke somebody for */

	/* Anyone who is about to sleep. */
	atomic_t data_wait;
	atomic_t space_wait;

	struct rcu_head rcu;
};

struct vmc_circuit *vmc_circuit_create(const struct vmc_circuit_id *id,
				       const struct vmc_ring_place *place,
				       const struct vmc_circuit_user *user,
				       void *owner, gfp_t gfp);
void vmc_circuit_close(struct vmc_circuit *circuit, bool abort);
void vmc_circuit_release(struct vmc_circuit *circuit);
void vmc_circuit_reject(const struct vmc_circuit_id *id, u32 attachment);
u32 vmc_circuit_lie(struct vmc_circuit *circuit, const char *what, u32 raw);
bool vmc_circuit_step(struct vmc_circuit *circuit, enum vmc_event event);
u32 vmc_circuit_readable(struct vmc_circuit *circuit);
void vmc_circuit_cut(struct vmc_circuit *circuit, u32 end);
u32 vmc_circuit_writable(struct vmc_circuit *circuit);
u32 vmc_circuit_room(struct vmc_circuit *circuit);
u32 vmc_circuit_readable_hint(const struct vmc_circuit *circuit);
u32 vmc_circuit_writable_hint(const struct vmc_circuit *circuit);
bool vmc_circuit_is_roomy_hint(const struct vmc_circuit *circuit);
void vmc_circuit_bound(struct vmc_circuit *circuit, u32 bytes);
void vmc_circuit_hold(struct vmc_circuit *circuit, u32 bytes);
void vmc_circuit_produce(struct vmc_circuit *circuit, u32 bytes);
void vmc_circuit_consume(struct vmc_circuit *circuit, u32 bytes);
void vmc_circuit_await_data(struct vmc_circuit *circuit);
void vmc_circuit_await_space(struct vmc_circuit *circuit);
void vmc_circuit_adopt(struct vmc_circuit *circuit);
void vmc_circuit_set_flags(struct vmc_circuit *circuit, u32 flags);
u32 vmc_circuit_peer_flags(const struct vmc_circuit *circuit);

#endif /* VMC_CIRCUIT_H */
