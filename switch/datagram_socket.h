/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_DATAGRAM_SOCKET_H
#define VMC_SWITCH_DATAGRAM_SOCKET_H

#include <stdbool.h>
#include <sys/queue.h>

#include "proto/wire.h"
#include "switch/uring.h"

#define VMC_DATAGRAM_BUCKETS	1024

struct vmc_flow;
struct vmc_config_publish;
struct vmc_refusals;
struct vmc_uplink;
struct vmc_vm;

TAILQ_HEAD(vmc_flow_list, vmc_flow);

/*
 * A host socket for all datagrams of one name of a VM, whoever they go to: so
 * the outside sees one port for it.
 */
struct vmc_datagram_socket {
	struct vmc_uplink *uplink;
	struct vmc_vm *vm;
	struct vmc_name local;		/* of the guest's socket */
	bool is_routed;			/* bound to that name */
	const char *published;		/* as configured; NULL: it is not */
	bool is_kept;			/* though no flow needs it */
	bool is_ending;			/* waits for its operations to end */
	bool is_whole;			/* the host does not cut in pieces */
	int fd;
	struct vmc_uring_op rx;		/* receives again and again */
	struct vmc_uring_op room;	/* while it takes no more */
	struct vmc_task end_task;
	unsigned int nr_flows;
	unsigned int nr_unanswered;	/* of those: offered to the guest */
	struct vmc_refusals *refusals;	/* NULL: none yet */
	struct vmc_flow_list blocked;	/* they wait for room */
	uint64_t empty_since_ms;	/* if it has no flows */
	LIST_ENTRY(vmc_datagram_socket) entry;
};

LIST_HEAD(vmc_datagram_socket_list, vmc_datagram_socket);

/* The host sockets by the guest's name. All zero at first. */
struct vmc_datagram_table {
	bool is_closed;			/* no operation is begun any more */
	struct vmc_datagram_socket_list ending;
	struct vmc_datagram_socket_list buckets[VMC_DATAGRAM_BUCKETS];
};

int vmc_datagram_socket_get(struct vmc_uplink *uplink, struct vmc_vm *vm,
			    const struct vmc_name *local, bool is_routed,
			    struct vmc_datagram_socket **ret_socket);
int vmc_datagram_socket_publish(struct vmc_uplink *uplink, struct vmc_vm *vm,
				const struct vmc_config_publish *publish);
void vmc_datagram_socket_forget_kept(struct vmc_uplink *uplink);
void vmc_datagram_socket_take(struct vmc_datagram_socket *socket);
void vmc_datagram_socket_put(struct vmc_datagram_socket *socket,
			     bool is_guest_gone);
void vmc_datagram_socket_set_whole(struct vmc_datagram_socket *socket,
				   bool is_whole);
void vmc_datagram_socket_await_room(struct vmc_datagram_socket *socket);
void vmc_datagram_socket_leave(struct vmc_uplink *uplink, struct vmc_vm *vm);
void vmc_datagram_socket_tick(struct vmc_uplink *uplink);
void vmc_datagram_socket_close_all(struct vmc_uplink *uplink);

#endif /* VMC_SWITCH_DATAGRAM_SOCKET_H */
