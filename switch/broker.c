// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The broker: takes what guests ask for and hands it to whom it concerns.
 * Owns the VMs, the heartbeat and the handshake; what CONNECT and its answers
 * do is in connect.c. Called by main.c, and by vm.c through vmc_vm_ops.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "switch/address.h"
#include "switch/answer.h"
#include "switch/broker.h"
#include "switch/endpoint.h"
#include "switch/guest.h"
#include "switch/hub.h"
#include "switch/porter.h"
#include "switch/process.h"
#include "switch/uplink.h"

static void send_welcome(struct vmc_vm *vm, int error)
{
	const struct vmc_broker *broker = vm->owner;
	const struct vmc_config_uplink *uplink = &broker->table.config->uplink;
	const struct vmc_config_vm *config = vm->config;
	struct vmc_welcome welcome = {
		.version = htole32(VMC_PROTOCOL_VERSION),
		.error = htole32((uint32_t)error),
		.epoch = htole64(vm->epoch),
		.nr_addresses = htole32(config->nr_addresses),
		.features = htole64(VMC_FEATURE_DATAGRAM | VMC_FEATURE_HUB |
				    (broker->table.uplink ?
				     VMC_FEATURE_UPLINK |
				     VMC_FEATURE_UPLINK_DATAGRAM : 0)),
		.nr_resolvers = htole32(uplink->nr_resolvers),
	};

	if (!error && vm->page_mapping)
		welcome.switch_page =
			htole64(vmc_window_offset(&vm->connection.window,
						  vm->page_mapping));
	memcpy(welcome.name, config->name, sizeof(welcome.name));
	memcpy(welcome.addresses, config->addresses,
	       sizeof(welcome.addresses));
	memcpy(welcome.resolvers, uplink->resolvers,
	       sizeof(welcome.resolvers));
	vmc_vm_send(vm, VMC_MSG_WELCOME, &welcome);
}

/* Drop everything that the guest set up. */
static void drop_state(struct vmc_vm *vm)
{
	struct vmc_broker *broker = vm->owner;
	struct vmc_dial *dial;

	vm->is_welcome = false;
	vm->has_dialled_hub = false;
	vmc_answer_leave(vm);
	if (broker->table.uplink)
		vmc_uplink_leave(broker->table.uplink, vm);
	while ((dial = vmc_dial_any(&vm->dials)))
		vmc_dial_remove(&vm->dials, dial);
	vm->page_mapping = NULL;
	vmc_segment_destroy(&vm->page);
}

static void page_mapped(struct vmc_mapping *mapping, int error)
{
	struct vmc_vm *vm = mapping->owner;

	if (error) {
		vmc_log(VMC_LOG_WARNING,
			"vm \"%s\": the switch page cannot be mapped: %s",
			vm->config->name, strerror(-error));
		vm->page_mapping = NULL;
		vmc_segment_destroy(&vm->page);
		send_welcome(vm, -error);
		return;
	}
	vm->is_welcome = true;
	send_welcome(vm, 0);
	vmc_log(VMC_LOG_INFO, "vm \"%s\" is welcome", vm->config->name);
}

static void take_hello(struct vmc_vm *vm, const struct vmc_hello *raw_hello)
{
	int error;

	/* The answer to another switch's ATTACH: one to ours will come. */
	if (le64toh(raw_hello->epoch) != vm->epoch) {
		vm->stats.stale++;
		return;
	}
	drop_state(vm);
	vm->takes_datagrams = raw_hello->features &
			      htole64(VMC_FEATURE_DATAGRAM);
	vmc_outbox_clear(&vm->outbox);
	if (!vm->config->is_endpoint)
		vmc_window_restart(&vm->connection.window);
	if (le32toh(raw_hello->version) != VMC_PROTOCOL_VERSION) {
		vmc_log_limited(&vm->log_limit, VMC_LOG_WARNING,
				"%s \"%s\" speaks protocol version %u, the switch speaks %u",
				vmc_vm_kind(vm), vm->config->name,
				le32toh(raw_hello->version),
				VMC_PROTOCOL_VERSION);
		send_welcome(vm, EPROTONOSUPPORT);
		return;
	}
	if (vm->config->is_endpoint) {
		/* Its socket ends with the switch: it needs no heartbeat. */
		vm->is_welcome = true;
		send_welcome(vm, 0);
		return;
	}
	error = vmc_segment_create_page(&vm->page, vm->epoch);
	if (!error)
		error = vmc_window_map(&vm->connection.window, vm->page.fd,
				       VMC_PAGE_BYTES, false, page_mapped, vm,
				       &vm->page_mapping);
	if (error) {
		vmc_segment_destroy(&vm->page);
		send_welcome(vm, -error);
	}
}

/* What a new listener may be called; errno or 0. */
static int check_local(const struct vmc_vm *vm, const struct vmc_name *local)
{
	if (!local->port)
		return EINVAL;
	if (vmc_name_is_wildcard(local) || vmc_name_is_loopback(local) ||
	    vmc_config_vm_owns(vm->config, local))
		return 0;
	return EADDRNOTAVAIL;
}

/* Whether another process of the same endpoint listens there; errno or 0. */
static int check_others(const struct vmc_vm *vm, const struct vmc_name *local)
{
	const struct vmc_broker *broker = vm->owner;
	const struct vmc_vm *other;
	unsigned int i;

	/* Each has a loopback of its own. */
	if (vmc_name_is_loopback(local))
		return 0;
	for (i = 0; i < broker->table.nr; i++) {
		other = &broker->table.vms[i];
		if (other != vm && other->config == vm->config &&
		    vmc_listener_is_taken(&other->listeners, local))
			return EADDRINUSE;
	}
	return 0;
}

static void take_listen(struct vmc_vm *vm, const struct vmc_listen *raw_listen)
{
	struct vmc_broker *broker = vm->owner;
	struct vmc_listener listener = {
		.id = le32toh(raw_listen->listener),
		.is_v6only = raw_listen->v6only,
		.local = raw_listen->local,
		.tx_bytes = le32toh(raw_listen->tx_bytes),
		.rx_bytes = le32toh(raw_listen->rx_bytes),
		.room = le16toh(raw_listen->room),
	};
	struct vmc_listening listening = { .listener = raw_listen->listener };
	int error;

	if (raw_listen->v6only > 1 || vmc_name_check(&listener.local)) {
		vmc_vm_fault(vm, "LISTEN %u with a malformed name",
			     listener.id);
		return;
	}
	error = check_local(vm, &listener.local);
	if (!error)
		error = check_others(vm, &listener.local);
	if (!error)
		error = -vmc_listener_add(&vm->listeners, &listener);
	listening.error = htole32((uint32_t)error);
	vmc_vm_send(vm, VMC_MSG_LISTENING, &listening);
	if (!error && broker->table.uplink)
		vmc_inbound_update(broker->table.uplink, vm,
				   le16toh(listener.local.port));
}

static void take_unlisten(struct vmc_vm *vm,
			  const struct vmc_unlisten *raw_unlisten)
{
	struct vmc_broker *broker = vm->owner;
	uint16_t port;

	if (vmc_listener_remove(&vm->listeners,
				le32toh(raw_unlisten->listener), &port))
		vm->stats.stale++;
	else if (broker->table.uplink)
		vmc_inbound_update(broker->table.uplink, vm, port);
}

static void take_released(struct vmc_vm *vm,
			  const struct vmc_link_released *raw_released)
{
	uint32_t id = le32toh(raw_released->link);
	uint32_t generation = le32toh(raw_released->generation);
	struct vmc_link *link = id < VMC_MAX_LINKS ? vm->links[id] : NULL;

	if (!link || link->state != VMC_LINK_DOWN ||
	    link->ends[vm->link_ends[id]].generation != generation) {
		vmc_vm_fault(vm, "LINK_RELEASED for link %u:%u, which is not down",
			     id, generation);
		return;
	}
	vmc_link_release(link);
}

static void request(struct vmc_vm *vm, const struct vmc_msg *raw_msg)
{
	struct vmc_broker *broker = vm->owner;
	unsigned int type = le16toh(raw_msg->type);

	if (type == VMC_MSG_HELLO) {
		take_hello(vm, &raw_msg->hello);
		return;
	}
	if (!vm->is_welcome) {
		vm->stats.stale++;
		return;
	}
	switch (type) {
	case VMC_MSG_LISTEN:
		take_listen(vm, &raw_msg->listen);
		break;
	case VMC_MSG_UNLISTEN:
		take_unlisten(vm, &raw_msg->unlisten);
		break;
	case VMC_MSG_CONNECT:
		vmc_connect_dial(&broker->table, vm, &raw_msg->connect);
		break;
	case VMC_MSG_CANCEL:
		vmc_connect_cancel(vm, le32toh(raw_msg->cancel.cookie));
		break;
	case VMC_MSG_ACCEPT:
		vmc_answer(vm, type, &raw_msg->accept.id,
			   le32toh(raw_msg->accept.room));
		break;
	case VMC_MSG_REFUSE:
		vmc_answer(vm, type, &raw_msg->refuse.id,
			   le32toh(raw_msg->refuse.error));
		break;
	case VMC_MSG_CLOSE:
		vmc_answer(vm, type, &raw_msg->close.id, 0);
		break;
	case VMC_MSG_LINK_RELEASED:
		take_released(vm, &raw_msg->link_released);
		break;
	}
}

static void doorbell(struct vmc_vm *vm, uint32_t raw_link)
{
	const struct vmc_link_end *peer;
	struct vmc_link *link;

	if (raw_link >= VMC_MAX_LINKS) {
		vmc_vm_fault(vm, "doorbell of link %u", raw_link);
		return;
	}
	link = vm->links[raw_link];
	if (!link || link->state != VMC_LINK_UP) {
		vm->stats.stale++;
		return;
	}
	if (link->trunk) {
		vmc_trunk_rung(link->trunk);
		return;
	}
	if (link->porter) {
		vmc_porter_rung(link->porter);
		return;
	}
	peer = &link->ends[!vm->link_ends[raw_link]];
	vmc_vm_kick(peer->vm, peer->id);
}

static void detached(struct vmc_vm *vm)
{
	drop_state(vm);
	if (!vm->config->is_endpoint)
		vmc_window_abandon(&vm->connection.window);
}

static const struct vmc_vm_ops vm_ops = {
	.detached	= detached,
	.request	= request,
	.doorbell	= doorbell,
};

static void beat(struct vmc_watch *watch, uint32_t events)
{
	struct vmc_broker *broker =
		vmc_container_of(watch, struct vmc_broker, heartbeat);
	uint64_t now_ms = vmc_loop_now_ms();
	struct vmc_vm *vm;
	uint64_t count;
	unsigned int i;

	(void)events;
	if (read(watch->fd, &count, sizeof(count)) < 0)
		return;
	/* Processes have neither a page nor a window. */
	for (i = 0; i < broker->table.config->nr_vms; i++) {
		vm = &broker->table.vms[i];
		if (vm->page.fd >= 0)
			vmc_segment_beat(&vm->page);
		vmc_window_tick(&vm->connection.window, now_ms);
		if (vm->hub)
			vmc_echo_tick(vm->hub, now_ms);
	}
	if (broker->table.uplink)
		vmc_uplink_tick(broker->table.uplink);
}

static int listen_all(struct vmc_broker *broker)
{
	const struct vmc_config *config = broker->table.config;
	struct vmc_vm *seat = &broker->table.vms[config->nr_vms];
	const struct vmc_config_vm *vm;
	unsigned int i;
	int error;

	for (i = 0; i < config->nr_vms + config->nr_endpoints; i++) {
		vm = &config->vms[i];
		if (vm->is_endpoint) {
			error = vmc_endpoint_listen(
				&broker->endpoints[i - config->nr_vms], vm,
				broker->loop, seat);
			seat += vm->access.max_processes;
		} else {
			error = vmc_guest_listen(&broker->table.vms[i],
						 config);
		}
		if (!error)
			continue;
		vmc_log(VMC_LOG_ERROR, "cannot listen on \"%s\" for %s \"%s\": %s",
			vm->socket, vm->is_endpoint ? "endpoint" : "vm",
			vm->name, strerror(-error));
		return error;
	}
	return 0;
}

/* A place for each guest and for each process that may come. */
static int init_vms(struct vmc_broker *broker)
{
	const struct vmc_config *config = broker->table.config;
	const struct vmc_config_vm *vm = config->vms;
	const struct vmc_config_vm *end =
		vm + config->nr_vms + config->nr_endpoints;
	unsigned int i, nr = config->nr_vms;
	int error;

	for (i = 0; i < config->nr_endpoints; i++)
		nr += config->vms[config->nr_vms + i].access.max_processes;
	broker->endpoints = calloc(config->nr_endpoints + 1,
				   sizeof(struct vmc_endpoint));
	broker->table.vms = calloc(nr + 1, sizeof(struct vmc_vm));
	if (!broker->table.vms || !broker->endpoints)
		return -ENOMEM;
	for (; vm < end; vm++) {
		for (i = 0; i < (vm->is_endpoint ? vm->access.max_processes :
						   1); i++) {
			error = vmc_vm_init(
				&broker->table.vms[broker->table.nr], vm,
				vm->is_endpoint ? &vmc_process_carrier :
						  &vmc_guest_carrier,
				broker->loop, broker->epoch, &vm_ops, broker);
			if (error)
				return error;
			broker->table.nr++;
		}
	}
	return 0;
}

/**
 * vmc_broker_create - start to serve the configured VMs and endpoints
 * @config: outlives the broker
 * @loop: outlives the broker
 * @ret_broker: the broker
 *
 * Return: 0, -ENOMEM, or the error of a socket or of the timer, which is
 * logged.
 */
int vmc_broker_create(const struct vmc_config *config, struct vmc_loop *loop,
		      struct vmc_broker **ret_broker)
{
	struct vmc_broker *broker = calloc(1, sizeof(*broker));
	unsigned int i;
	int error;

	if (!broker)
		return -ENOMEM;
	broker->loop = loop;
	broker->started_ms = vmc_loop_now_ms();
	broker->table.config = config;
	broker->heartbeat.fd = -1;
	broker->heartbeat.ready = beat;
	while (!broker->epoch) {
		if (getrandom(&broker->epoch, sizeof(broker->epoch), 0) < 0) {
			error = -errno;
			goto destroy_broker;
		}
	}
	error = init_vms(broker);
	if (error)
		goto destroy_broker;
	if (config->uplink.is_enabled) {
		error = vmc_uplink_create(&broker->table, loop,
					  &broker->table.uplink);
		if (error)
			goto destroy_broker;
	}
	error = vmc_loop_add_timer(loop, &broker->heartbeat,
				   VMC_HEARTBEAT_MS);
	if (error)
		goto destroy_broker;
	error = listen_all(broker);
	if (error)
		goto destroy_broker;
	for (i = 0; i < config->nr_vms; i++)
		vmc_guest_resume(&broker->table.vms[i]);
	*ret_broker = broker;
	return 0;

destroy_broker:
	vmc_broker_destroy(broker);
	return error;
}

/**
 * vmc_broker_shut_down - tell the guests that the switch ends
 * @broker: the broker; to be destroyed next
 *
 * Each guest gets LINK_DOWN for each of its links, as far as it posted
 * buffers. Circuits of two processes go on.
 */
void vmc_broker_shut_down(struct vmc_broker *broker)
{
	struct vmc_link_down down;
	struct vmc_vm *vm;
	unsigned int i, id;

	for (i = 0; i < broker->table.nr; i++) {
		vm = &broker->table.vms[i];
		for (id = 0; id < VMC_MAX_LINKS; id++) {
			if (!vm->links[id] ||
			    vm->links[id]->state != VMC_LINK_UP)
				continue;
			down.link = htole32(id);
			down.generation = htole32(vm->links[id]->
				ends[vm->link_ends[id]].generation);
			vmc_vm_send(vm, VMC_MSG_LINK_DOWN, &down);
		}
		vmc_vm_flush(vm);
	}
	/* Once every wire that is on its way has been sent. */
	for (i = 0; i < broker->table.nr; i++) {
		vm = &broker->table.vms[i];
		for (id = 0; id < VMC_MAX_LINKS; id++) {
			if (vm->links[id])
				vmc_link_let_go(vm->links[id]);
		}
	}
}

/**
 * vmc_broker_destroy - end all VMs' connections and free the broker
 * @broker: the broker
 */
void vmc_broker_destroy(struct vmc_broker *broker)
{
	struct vmc_uplink *uplink = broker->table.uplink;
	unsigned int i;

	if (uplink)
		vmc_uplink_stop(uplink);
	broker->table.uplink = NULL;
	for (i = 0; i < broker->table.nr; i++) {
		vmc_vm_destroy(&broker->table.vms[i]);
		if (i < broker->table.config->nr_vms)
			vmc_guest_unlisten(&broker->table.vms[i]);
	}
	for (i = 0; broker->endpoints &&
	     i < broker->table.config->nr_endpoints; i++)
		vmc_endpoint_unlisten(&broker->endpoints[i]);
	if (uplink)
		vmc_uplink_destroy(uplink);
	vmc_loop_close(broker->loop, &broker->heartbeat);
	free(broker->table.vms);
	free(broker->endpoints);
	free(broker);
}
