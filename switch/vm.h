/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_VM_H
#define VMC_SWITCH_VM_H

#include "switch/config.h"
#include "switch/dial.h"
#include "switch/drops.h"
#include "switch/listener.h"
#include "switch/log.h"
#include "switch/outbox.h"
#include "switch/quota.h"
#include "switch/segment.h"
#include "switch/vhost_user.h"

struct vmc_hub_port;
struct vmc_link;
struct vmc_vm;

struct vmc_vm_stats {
	uint64_t requests;		/* messages taken */
	uint64_t events;		/* messages given */
	uint64_t kicks_in;		/* doorbells taken */
	uint64_t kicks_out;		/* KICKs given */
	uint64_t circuits_opened;
	uint64_t circuits_refused;	/* FAILED answers to its CONNECTs */
	uint64_t circuits_reset;	/* RESETs, and those of LINK_DOWN */
	uint64_t stale;			/* messages that crossed, ignored */
	uint64_t lies;			/* each ended a connection */
	uint64_t attachments;
	uint64_t over_quota;		/* refused for want of it */
	uint64_t denied;		/* by the policy, either way */
	uint64_t relays_out;		/* circuits to the outside */
	uint64_t relays_in;		/* circuits from the outside */
	uint64_t bytes_out;		/* to the outside */
	uint64_t bytes_in;		/* from the outside */
	uint64_t datagrams_out;		/* to the outside, taken by the host */
	uint64_t datagrams_in;		/* from the outside, in a ring */
	uint64_t packets_out;		/* taken by the hub */
	uint64_t packets_in;		/* given by the hub */
	uint64_t packets_refused;	/* that the hub does not pass on */
	uint64_t packets_lost;		/* that found its ring full */
};

/* Calls upwards, to the broker. None may free the VM. */
struct vmc_vm_ops {
	/* The guest's memory and queues are gone. */
	void (*detached)(struct vmc_vm *vm);
	/* A request; its type and length agree, its fields are unchecked. */
	void (*request)(struct vmc_vm *vm, const struct vmc_msg *raw_msg);
	/* A doorbell for one of its links. */
	void (*doorbell)(struct vmc_vm *vm, uint32_t raw_link);
};

/*
 * What brings a VM's messages: the queues of a guest (guest.c), or the socket
 * of a process (process.c). The messages are the same.
 */
struct vmc_carrier {
	void (*init)(struct vmc_vm *vm);
	/* Give it one event. 0; else it waits, or the VM is doomed. */
	int (*give)(struct vmc_vm *vm, const struct vmc_msg *msg, size_t bytes);
	/* What could be given was given; @is_all: nothing waits. */
	void (*flushed)(struct vmc_vm *vm, bool is_all);
	/* In the VM's task: take what was left over. */
	void (*go_on)(struct vmc_vm *vm);
	/* End the connection; nothing happens without one. */
	void (*close)(struct vmc_vm *vm);
};

/* One configured VM, attached or not. */
struct vmc_vm {
	/* Fixed after creation. */
	const struct vmc_config_vm *config;
	const struct vmc_carrier *carrier;
	const struct vmc_vm_ops *ops;
	void *owner;			/* of ops: the broker */
	struct vmc_loop *loop;
	uint64_t epoch;

	struct vmc_task task;		/* flush, and what was left over */
	bool is_attached;		/* ATTACH was sent */
	bool is_doomed;			/* close the connection in the task */

	/* guest.c's. */
	struct vmc_watch listener;	/* the socket for the hypervisor */
	struct vmc_vhost_user connection;
	bool has_more[VMC_NR_QUEUES];	/* entries left for the next turn */

	/* process.c's. */
	struct vmc_watch process;	/* its socket; fd -1: nobody is there */
	uint32_t process_events;	/* that are watched for */
	pid_t pid;
	bool has_left;			/* by itself: nobody threw it out */

	struct vmc_outbox outbox;
	uint64_t kicks;			/* links to KICK, one bit each */

	/* The broker's. */
	bool is_welcome;		/* WELCOME was sent */
	bool takes_datagrams;		/* it said so in HELLO */
	struct vmc_segment page;	/* switch page; fd -1 unless mapped */
	struct vmc_mapping *page_mapping;
	struct vmc_listener_table listeners;
	struct vmc_dial_table dials;
	struct vmc_link *links[VMC_MAX_LINKS];
	unsigned int link_ends[VMC_MAX_LINKS];	/* this VM's end of it */
	uint32_t link_generation;	/* the last one given */
	uint32_t nr_circuits;
	uint64_t ring_bytes;		/* of those circuits */
	unsigned int nr_datagram_sockets;	/* of the host, for it */
	struct vmc_quota quota;
	struct vmc_hub_port *hub;	/* its end of the circuit to the hub */
	bool has_dialled_hub;		/* since HELLO */

	struct vmc_vm_stats stats;
	struct vmc_drops drops;		/* of circuits that are closed */
	struct vmc_uplink_drops uplink_drops;
	struct vmc_log_limit log_limit;
};
_Static_assert(VMC_MAX_LINKS <= 64, "kicks has too few bits");

int vmc_vm_init(struct vmc_vm *vm, const struct vmc_config_vm *config,
		const struct vmc_carrier *carrier, struct vmc_loop *loop,
		uint64_t epoch, const struct vmc_vm_ops *ops, void *owner);
void vmc_vm_destroy(struct vmc_vm *vm);

void vmc_vm_attach(struct vmc_vm *vm);
void vmc_vm_detach(struct vmc_vm *vm);
void vmc_vm_disconnect(struct vmc_vm *vm);
int vmc_vm_take(struct vmc_vm *vm, const struct vmc_msg *raw_msg, size_t bytes);
void vmc_vm_flush(struct vmc_vm *vm);

void vmc_vm_send(struct vmc_vm *vm, unsigned int type, const void *body);
void vmc_vm_kick(struct vmc_vm *vm, uint32_t link);
void vmc_vm_fault(struct vmc_vm *vm, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * vmc_vm_kind - what the VM is called in messages, before its name
 * @vm: the VM
 */
static inline const char *vmc_vm_kind(const struct vmc_vm *vm)
{
	return vm->config->is_endpoint ? "endpoint" : "vm";
}

#endif /* VMC_SWITCH_VM_H */
