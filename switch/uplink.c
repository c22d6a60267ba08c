// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The uplink: whether a guest may dial the outside, and what it reaches there.
 * Owns the io_uring that all relays share, and the host's listeners. Called by
 * the broker and connect.c.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "switch/address.h"
#include "switch/relay.h"
#include "switch/uplink.h"

static struct vmc_name loopback_of(const struct vmc_name *name)
{
	struct vmc_name loopback = {
		.family = name->family,
		.port = name->port,
	};

	if (name->family == VMC_FAMILY_INET) {
		loopback.address[0] = 127;
		loopback.address[3] = 1;
	} else {
		loopback.address[15] = 1;
	}
	return loopback;
}

/* Whether the address is of a network that the VM is in itself. */
static bool is_on_link(const struct vmc_config_vm *vm,
		       const struct vmc_name *name)
{
	unsigned int i;

	for (i = 0; i < vm->nr_addresses; i++) {
		if (vmc_address_covers(&vm->addresses[i], name))
			return true;
	}
	return false;
}

/**
 * vmc_uplink_target - what the host dials for a guest
 * @config: names of the host's loopback
 * @vm: who dials
 * @remote: what it dials, checked; no VM has it
 * @ret_target: the same, or the host's loopback if that is meant
 *
 * Return: 0, or EHOSTUNREACH for an address of the VM's own networks.
 */
int vmc_uplink_target(const struct vmc_config_uplink *config,
		      const struct vmc_config_vm *vm,
		      const struct vmc_name *remote,
		      struct vmc_name *ret_target)
{
	unsigned int i;

	for (i = 0; i < config->nr_host_addresses; i++) {
		if (!vmc_address_is(&config->host_addresses[i], remote))
			continue;
		*ret_target = loopback_of(remote);
		return 0;
	}
	if (is_on_link(vm, remote))
		return EHOSTUNREACH;
	*ret_target = *remote;
	return 0;
}

/* What the policy is to be asked. Return: as vmc_uplink_target(). */
static int make_query(const struct vmc_uplink *uplink,
		      const struct vmc_config_vm *vm,
		      enum vmc_protocol protocol,
		      const struct vmc_name *remote,
		      struct vmc_policy_query *ret_query)
{
	*ret_query = (struct vmc_policy_query){
		.vm = vm,
		.direction = VMC_OUTBOUND,
		.protocol = protocol,
	};
	return vmc_uplink_target(&uplink->table->config->uplink, vm, remote,
				 &ret_query->remote);
}

/**
 * vmc_uplink_is_in_the_way - whether a rule allows what cannot be done
 * @query: what was asked
 * @verdict: allowed
 *
 * Return: true for datagrams through a proxy: it carries streams only, and
 * going round it is not what the rule says.
 */
bool vmc_uplink_is_in_the_way(const struct vmc_policy_query *query,
			      const struct vmc_policy_verdict *verdict)
{
	return query->protocol == VMC_PROTOCOL_UDP &&
	       verdict->carriage->has_proxy;
}

/**
 * vmc_uplink_resolve - what a guest reaches at an address that no VM owns
 * @uplink: the uplink
 * @vm: who dials; counts it when the policy denies
 * @protocol: of what
 * @remote: what it dials, checked
 * @ret_target: what the host is to dial
 * @ret_carriage: how; to be copied before anything else happens
 *
 * Return: 0; EHOSTUNREACH for a VM that is not there, EACCES by policy.
 */
int vmc_uplink_resolve(const struct vmc_uplink *uplink, struct vmc_vm *vm,
		       enum vmc_protocol protocol,
		       const struct vmc_name *remote,
		       struct vmc_name *ret_target,
		       const struct vmc_carriage **ret_carriage)
{
	struct vmc_policy_verdict verdict;
	struct vmc_policy_query query;
	int error;

	error = make_query(uplink, vm->config, protocol, remote, &query);
	if (error)
		return error;
	verdict = vmc_policy_decide(uplink->table->config->policy, &query);
	if (!verdict.is_allowed || vmc_uplink_is_in_the_way(&query, &verdict)) {
		vm->stats.denied++;
		return EACCES;
	}
	*ret_target = query.remote;
	*ret_carriage = verdict.carriage;
	return 0;
}

/**
 * vmc_uplink_check - whether it is worth to go on to vmc_uplink_resolve()
 * @uplink: the uplink
 * @vm: who dials; counts it when the policy denies
 * @protocol: of what
 * @remote: what it dials, checked
 *
 * A connect that may go on is counted there, not here.
 *
 * Return: as vmc_uplink_resolve().
 */
int vmc_uplink_check(const struct vmc_uplink *uplink, struct vmc_vm *vm,
		     enum vmc_protocol protocol,
		     const struct vmc_name *remote)
{
	const struct vmc_carriage *carriage;
	struct vmc_policy_verdict verdict;
	struct vmc_policy_query query;
	struct vmc_name target;
	int error;

	error = make_query(uplink, vm->config, protocol, remote, &query);
	if (error)
		return error;
	verdict = vmc_policy_look(uplink->table->config->policy, &query);
	if (verdict.is_allowed && !vmc_uplink_is_in_the_way(&query, &verdict))
		return 0;
	return vmc_uplink_resolve(uplink, vm, protocol, remote, &target,
				  &carriage);
}

/**
 * vmc_uplink_admits - whether the policy lets somebody of the outside in
 * @uplink: the uplink
 * @vm: who is called
 * @protocol: of what
 * @remote: who calls
 * @guest: the name that is called; only its port matters
 * @is_published: by a "publish" line
 */
bool vmc_uplink_admits(const struct vmc_uplink *uplink,
		       const struct vmc_vm *vm, enum vmc_protocol protocol,
		       const struct vmc_name *remote,
		       const struct vmc_name *guest, bool is_published)
{
	const struct vmc_policy_query query = {
		.vm = vm->config,
		.direction = VMC_INBOUND,
		.protocol = protocol,
		.remote = *remote,
		.vm_port = le16toh(guest->port),
		.is_published = is_published,
	};

	return vmc_policy_decide(uplink->table->config->policy,
				 &query).is_allowed;
}

/**
 * vmc_uplink_name_for_guest - whom a guest sees when the outside calls
 * @uplink: the uplink
 * @vm: the VM
 * @remote: true name; a guest believes that only its own programs come from its
 *	loopback, so the host's becomes the name by which guests call it
 *
 * Return: 0, or -EADDRNOTAVAIL when there is no such name, which is logged.
 */
int vmc_uplink_name_for_guest(const struct vmc_uplink *uplink,
			      struct vmc_vm *vm, struct vmc_name *remote)
{
	const struct vmc_config_uplink *config =
		&uplink->table->config->uplink;
	unsigned int i;

	if (!vmc_name_is_loopback(remote))
		return 0;
	for (i = 0; i < config->nr_host_addresses; i++) {
		if (config->host_addresses[i].family != remote->family)
			continue;
		memcpy(remote->address, config->host_addresses[i].address,
		       sizeof(remote->address));
		return 0;
	}
	vmc_log_limited(&vm->log_limit, VMC_LOG_WARNING,
			"the host's own loopback may not reach vm \"%s\": it needs a name there, see host_addresses",
			vm->config->name);
	return -EADDRNOTAVAIL;
}

/**
 * vmc_uplink_create - make the uplink and claim the published ports
 * @table: outlives the uplink; its VMs are there
 * @loop: outlives the uplink
 * @ret_uplink: the uplink
 *
 * Return: 0, -ENOMEM, or the error of io_uring or of a published port, which
 * is logged.
 */
int vmc_uplink_create(struct vmc_vm_table *table, struct vmc_loop *loop,
		      struct vmc_uplink **ret_uplink)
{
	struct vmc_uplink *uplink = calloc(1, sizeof(*uplink));
	int error;

	if (!uplink)
		return -ENOMEM;
	uplink->loop = loop;
	uplink->table = table;
	LIST_INIT(&uplink->trunks);
	vmc_flow_table_init(&uplink->flows, loop);
	error = vmc_uring_open(&uplink->uring, loop);
	if (error) {
		vmc_log(VMC_LOG_ERROR,
			"the uplink needs io_uring, which the system does not give: %s; see kernel.io_uring_disabled",
			strerror(-error));
		free(uplink);
		return error;
	}
	error = vmc_inbound_open(uplink);
	if (!error)
		error = vmc_flow_publish_all(uplink);
	if (!error)
		vmc_flow_open_routed(uplink);
	if (error) {
		vmc_uplink_stop(uplink);
		vmc_uplink_destroy(uplink);
		return error;
	}
	*ret_uplink = uplink;
	return 0;
}

/**
 * vmc_uplink_leave - a VM is gone
 * @uplink: the uplink
 * @vm: the VM; its link is down
 */
void vmc_uplink_leave(struct vmc_uplink *uplink, struct vmc_vm *vm)
{
	vmc_inbound_leave(uplink, vm);
	vmc_datagram_socket_leave(uplink, vm);
}

/**
 * vmc_uplink_update - the policy is another
 * @uplink: the uplink
 */
void vmc_uplink_update(struct vmc_uplink *uplink)
{
	vmc_inbound_update_all(uplink);
	vmc_flow_open_routed(uplink);
}

/**
 * vmc_uplink_tick - do what is to be done now and then
 * @uplink: the uplink
 */
void vmc_uplink_tick(struct vmc_uplink *uplink)
{
	vmc_inbound_tick(uplink);
	vmc_flow_tick(uplink);
}

/**
 * vmc_uplink_stop - reset everything to and from the outside
 * @uplink: the uplink; its links are still there
 */
void vmc_uplink_stop(struct vmc_uplink *uplink)
{
	struct vmc_trunk *trunk, *next;

	vmc_inbound_close(uplink);
	vmc_uring_close(&uplink->uring);
	vmc_flow_table_close(&uplink->flows);
	uplink->datagrams.is_closed = true;
	for (trunk = LIST_FIRST(&uplink->trunks); trunk; trunk = next) {
		next = LIST_NEXT(trunk, entry);
		vmc_trunk_clear(trunk);
	}
	vmc_datagram_socket_close_all(uplink);
}

/**
 * vmc_uplink_destroy - free the uplink
 * @uplink: stopped, and its links are gone
 */
void vmc_uplink_destroy(struct vmc_uplink *uplink)
{
	free(uplink);
}
