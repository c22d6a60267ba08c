/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_FLOW_H
#define VMC_SWITCH_FLOW_H

#include <netinet/in.h>

#include "switch/datagram_socket.h"
#include "switch/terminal.h"

#define VMC_FLOW_BUCKETS	16384
/* Sends under way at once, of all flows. */
#define VMC_FLOW_SENDS		64
/* Datagrams of one send; the kernel's bound. */
#define VMC_FLOW_SEND_MAX	64

enum vmc_flow_state {
	VMC_FLOW_WAITING,	/* the outside began; the link is not up yet */
	VMC_FLOW_OFFERED,	/* likewise; the guest has not answered yet */
	VMC_FLOW_OPEN,		/* datagrams go both ways */
	VMC_FLOW_ENDING,	/* waits for its sends to end */
};

/* The datagrams between a name of a guest and one of the outside. */
struct vmc_flow {
	struct vmc_terminal terminal;
	struct vmc_datagram_socket *socket;
	enum vmc_flow_state state;
	struct vmc_name target;		/* the outside's, as the host has it */
	struct sockaddr_in6 address;	/* the same, of either family */
	socklen_t address_bytes;
	struct vmc_task end_task;

	bool is_listed;
	LIST_ENTRY(vmc_flow) entry;	/* by its target; or finished */

	/* What the guest sends: flow_send.c. */
	struct vmc_flow_list *queue;	/* that it is in, or NULL */
	TAILQ_ENTRY(vmc_flow) queued;
	uint32_t taken_bytes;		/* of the ring, in sends */
	uint32_t done_bytes;		/* of those, sent or given up */
	unsigned int nr_sending;	/* sends under way */
	unsigned int nr_failed;		/* datagrams to be sent once more */
	bool is_blocked;		/* the socket takes no more */
	uint32_t segment_max;		/* larger ones go one by one */
	uint32_t segment_proven;	/* so large ones went many at once */

	struct vmc_flow_inbound *inbound;	/* until it is answered */
	bool is_inbound;
	bool has_source;		/* what it is sent from */
	union {
		struct in_pktinfo inet;
		struct in6_pktinfo inet6;
	} source;

	bool is_guest_closed;		/* CLOSE came: it says no more */
	bool is_socket_gone;		/* with our FIN due, the guest had closed it */
	uint32_t nr_unsent;		/* as in the control page */
	uint32_t nr_errors;
	uint32_t nr_given;		/* datagrams put into the ring */
	uint64_t used_ms;
	uint64_t fin_ms;		/* when we said FIN, or 0 */
};

/* What came from outside: one datagram, or many of one size. */
struct vmc_arrival {
	struct vmc_name from;
	const uint8_t *payload;
	uint32_t bytes;
	uint32_t segment_bytes;
	uint8_t traffic_class;
	bool has_to;			/* the address that it was sent to */
	uint8_t to[16];
};

/* One send: datagrams of one size, and where the guest has them. */
struct vmc_flow_send {
	struct vmc_uring_op op;
	struct vmc_flow *flow;
	unsigned int nr_retries;
	uint32_t end_bytes;		/* of taken_bytes, after it */
	uint32_t nr_datagrams;
	uint32_t nr_parts;
	uint32_t first_bytes;		/* of the first datagram, the largest */
	uint32_t payload_bytes;
	uint64_t head;			/* of the first record */
	struct msghdr message;
	struct iovec parts[VMC_FLOW_SEND_MAX + 1];
	union {
		struct cmsghdr align;
		uint8_t bytes[128];
	} control;
	SLIST_ENTRY(vmc_flow_send) spare;
};

LIST_HEAD(vmc_flow_bucket, vmc_flow);

/* The flows of the uplink. */
struct vmc_flow_table {
	struct vmc_loop *loop;
	size_t kept_bytes;	/* of datagrams that wait for a link */
	unsigned int nr;
	struct vmc_flow_bucket by_target[VMC_FLOW_BUCKETS];
	struct vmc_flow_bucket finished;	/* we said FIN */
	struct vmc_flow_list ready;	/* have something to send */
	struct vmc_task send_task;
	SLIST_HEAD(, vmc_flow_send) spare;
	struct vmc_flow_send sends[VMC_FLOW_SENDS];
	uint64_t swept_ms;
};

/* flow.c */
void vmc_flow_table_init(struct vmc_flow_table *table, struct vmc_loop *loop);
void vmc_flow_table_close(struct vmc_flow_table *table);
void vmc_flow_dial(struct vmc_dial *dial);
struct vmc_flow *vmc_flow_create(struct vmc_trunk *trunk,
				 struct vmc_datagram_socket *socket,
				 const struct vmc_name *target,
				 enum vmc_flow_state state);
struct vmc_flow *vmc_flow_find(const struct vmc_datagram_socket *socket,
			       const struct vmc_name *target);
void vmc_flow_update(struct vmc_flow *flow);
void vmc_flow_finish(struct vmc_flow *flow);
void vmc_flow_break(struct vmc_flow *flow);
void vmc_flow_catch_lie(struct vmc_flow *flow);
void vmc_flow_tell_error(struct vmc_flow *flow, int error);
struct vmc_flow_table *vmc_flow_table_of(const struct vmc_flow *flow);
void vmc_flow_tick(struct vmc_uplink *uplink);

/* flow_send.c */
void vmc_flow_send_init(struct vmc_flow_table *table);
void vmc_flow_send(struct vmc_flow *flow);
void vmc_flow_send_again(struct vmc_flow *flow);
void vmc_flow_unqueue(struct vmc_flow *flow);

/* flow_receive.c */
extern struct msghdr vmc_flow_receive_form;
unsigned int vmc_flow_count(const struct vmc_arrival *arrival);
void vmc_flow_give(struct vmc_flow *flow, const struct vmc_arrival *arrival);
void vmc_flow_receive(struct vmc_datagram_socket *socket, void *buffer,
		      int bytes);
void vmc_flow_hear_errors(struct vmc_datagram_socket *socket);

/* flow_inbound.c */
int vmc_flow_publish_all(struct vmc_uplink *uplink);
void vmc_flow_open_routed(struct vmc_uplink *uplink);
bool vmc_flow_begin(struct vmc_datagram_socket *socket,
		    const struct vmc_arrival *arrival);
void vmc_flow_keep(struct vmc_flow *flow, const struct vmc_arrival *arrival);
void vmc_flow_offer(struct vmc_flow *flow);
void vmc_flow_accepted(struct vmc_flow *flow);
void vmc_flow_refused(struct vmc_flow *flow);
void vmc_flow_inbound_free(struct vmc_flow *flow);

#endif /* VMC_SWITCH_FLOW_H */
