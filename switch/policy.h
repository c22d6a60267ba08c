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
	VMC_PROTOCOL_ICMP,	/* echo requests: without ports */
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

/* Both included. */
struct vmc_port_range {
	uint16_t first;
	uint16_t last;
};

/* A list of a rule has no more items; each rule then fits a control line. */
#define VMC_RULE_MAX_ITEMS	64
/* Room for "rule "NAME" (FILE:LINE)". */
#define VMC_REASON_BYTES	320

/* One rule; of each list it is enough if one item fits, and none fits all. */
struct vmc_rule {
	char name[VMC_NAME_BYTES];
	int line;		/* where it begins */
	char reason[VMC_REASON_BYTES];
	bool is_allow;
	enum vmc_direction direction;
	bool is_any_protocol;
	enum vmc_protocol protocol;
	unsigned int nr_vms;
	unsigned int nr_remotes;
	unsigned int nr_ports;
	char vms[VMC_RULE_MAX_ITEMS][VMC_NAME_BYTES];
	struct vmc_address remotes[VMC_RULE_MAX_ITEMS];
	struct vmc_port_range ports[VMC_RULE_MAX_ITEMS];
	struct vmc_carriage carriage;
	char proxy[VMC_NAME_BYTES];	/* its name, or "" */
};

/* What decides when no rule does, in the order of being asked. */
enum vmc_policy_default {
	VMC_DEFAULT_LOOPBACK,
	VMC_DEFAULT_LINK_LOCAL,
	VMC_DEFAULT_MULTICAST,
	VMC_DEFAULT_OUTBOUND,
	VMC_DEFAULT_PUBLISHED,
	VMC_DEFAULT_INBOUND,
	VMC_NR_DEFAULTS,
};

/* The rules in order, and how often each decided, then each default. */
struct vmc_policy {
	unsigned int nr_rules;
	struct vmc_rule *rules;
	uint64_t *nr_decided;
};

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
	const struct vmc_rule *rule;	/* NULL: a default decided */
};

int vmc_policy_create(unsigned int nr_rules, struct vmc_policy **ret_policy);
void vmc_policy_free(struct vmc_policy *policy);
void vmc_policy_replace(struct vmc_policy *policy, struct vmc_policy *other);
const char *vmc_policy_default_text(enum vmc_policy_default number);
const char *vmc_policy_protocol_text(enum vmc_protocol protocol);
int vmc_policy_protocol_find(const char *text, enum vmc_protocol *ret_protocol);
struct vmc_policy_verdict
vmc_policy_decide(const struct vmc_policy *policy,
		  const struct vmc_policy_query *query);
struct vmc_policy_verdict
vmc_policy_look(const struct vmc_policy *policy,
		const struct vmc_policy_query *query);
bool vmc_policy_may_be_open(const struct vmc_policy *policy,
			    const struct vmc_config_vm *vm,
			    enum vmc_protocol protocol, uint16_t vm_port);
unsigned int vmc_policy_named_ports(const struct vmc_policy *policy,
				    const struct vmc_config_vm *vm,
				    enum vmc_protocol protocol,
				    uint16_t *ports, unsigned int max);
bool vmc_policy_allows(const struct vmc_config *config,
		       const struct vmc_config_vm *from,
		       const struct vmc_config_vm *to);

#endif /* VMC_SWITCH_POLICY_H */
