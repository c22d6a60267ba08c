/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_POLICY_H
#define VMC_SWITCH_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

/* Room for the name of a congestion control, as the kernel has it. */
#define VMC_CONGESTION_BYTES	16
/* Room for a SOCKS5 user name or password (RFC 1929). */
#define VMC_SOCKS5_TEXT_BYTES	256

struct vmc_config;
struct vmc_config_vm;

enum vmc_direction {
	VMC_OUTBOUND,		/* a guest connects to the outside */
	VMC_INBOUND,		/* the outside connects to a guest */
};

enum vmc_protocol {
	VMC_PROTOCOL_TCP,
	VMC_PROTOCOL_UDP,
};

/* A SOCKS5 proxy to leave through. */
struct vmc_proxy {
	struct vmc_name name;
	bool has_password;	/* user and password are to be offered */
	char user[VMC_SOCKS5_TEXT_BYTES];
	char password[VMC_SOCKS5_TEXT_BYTES];
};

/* How the host carries a connection. All zero: plain TCP, its defaults. */
struct vmc_carriage {
	bool is_mptcp;
	char congestion[VMC_CONGESTION_BYTES];	/* "": the host's default */
	bool has_proxy;
	struct vmc_proxy proxy;
};

struct vmc_policy;

/* What is asked of the policy. */
struct vmc_policy_query {
	const struct vmc_config_vm *vm;
	enum vmc_direction direction;
	enum vmc_protocol protocol;
	/*
	 * The other end, checked. Its port decides on the way out; on the way
	 * in it is the VM's own port that does.
	 */
	struct vmc_name remote;
	uint16_t vm_port;	/* inbound */
	bool is_published;	/* inbound, over a publish line: default open */
};

/* What the policy says. */
struct vmc_policy_verdict {
	bool is_allowed;
	/* Who decided, for people: "rule "web" (vmcircuitd.conf:12)", … */
	const char *reason;
	/* Of the rule that allowed; all zero otherwise. Lives as the policy. */
	const struct vmc_carriage *carriage;
};

struct vmc_policy_verdict
vmc_policy_decide(const struct vmc_policy *policy,
		  const struct vmc_policy_query *query);
bool vmc_policy_may_be_open(const struct vmc_policy *policy,
			    const struct vmc_config_vm *vm, uint16_t vm_port);
bool vmc_policy_allows(const struct vmc_config *config,
		       const struct vmc_config_vm *from,
		       const struct vmc_config_vm *to);

#endif /* VMC_SWITCH_POLICY_H */
