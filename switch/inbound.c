// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From the outside to a guest: host sockets that listen while a guest does, at
 * a published name of the host or, in routed mode, at the VM's own. Owns them.
 * Called by the broker and the trunk.
 *
 * Nothing is accepted on the host while enough of what was accepted waits for
 * its guest: a guest's full backlog fills the host's.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "switch/address.h"
#include "switch/host_socket.h"
#include "switch/relay.h"
#include "switch/uplink.h"

/* Accepted, but not answered by the guest; for each listener. */
#define MAX_UNANSWERED	64
/* Accepted at a time, before other events get their turn. */
#define ACCEPT_BATCH	16
/* More than any guest's; the kernel caps it at net.core.somaxconn. */
#define HOST_BACKLOG	65535

struct vmc_host_listener {
	struct vmc_watch watch;
	struct vmc_uplink *uplink;
	struct vmc_vm *vm;
	struct vmc_name guest;		/* what the guest is to listen at */
	const char *published;		/* as configured; NULL: routed */
	bool is_listening;
	bool is_starved;		/* accept() failed; try again soon */
	unsigned int nr_unanswered;
	TAILQ_HEAD(, vmc_inbound) inbounds;
	LIST_ENTRY(vmc_host_listener) entry;
};

/* How a relay began that its guest has not answered yet. */
struct vmc_inbound {
	struct vmc_host_listener *listener;	/* NULL: it is gone */
	struct vmc_name guest;
	struct vmc_name remote;
	TAILQ_ENTRY(vmc_inbound) entry;
};

static struct vmc_host_listener_list *bucket(struct vmc_uplink *uplink,
					     uint16_t port)
{
	return &uplink->inbound.by_port[port % VMC_INBOUND_BUCKETS];
}

/* Watch for connections, unless there is a reason not to. */
static void listen_for_more(struct vmc_host_listener *listener)
{
	bool is_ready = !listener->is_starved &&
			listener->nr_unanswered < MAX_UNANSWERED;

	if (!listener->is_listening)
		return;
	vmc_loop_change(listener->uplink->loop, &listener->watch,
			is_ready ? EPOLLIN : 0);
}

/**
 * vmc_inbound_free - forget how a relay began
 * @inbound: of a relay that was answered or is over, or NULL
 */
void vmc_inbound_free(struct vmc_inbound *inbound)
{
	struct vmc_host_listener *listener;

	if (!inbound)
		return;
	listener = inbound->listener;
	if (listener) {
		TAILQ_REMOVE(&listener->inbounds, inbound, entry);
		listener->nr_unanswered--;
		listen_for_more(listener);
	}
	free(inbound);
}

static bool is_allowed(const struct vmc_host_listener *listener,
		       const struct vmc_name *remote)
{
	if (vmc_uplink_admits(listener->uplink, listener->vm,
			      VMC_PROTOCOL_TCP, remote, &listener->guest,
			      listener->published))
		return true;
	listener->vm->stats.denied++;
	return false;
}

/* Who is not let in, or finds no room, sees a reset. */
static void turn_away(int fd)
{
	vmc_host_socket_prepare(fd);
	close(fd);
}

static void take(struct vmc_host_listener *listener, int fd,
		 const struct sockaddr_storage *address)
{
	struct vmc_inbound *inbound;
	struct vmc_relay *relay;
	struct vmc_name remote;
	struct vmc_link *link;

	if (vmc_host_socket_name(address, &remote) ||
	    !is_allowed(listener, &remote) ||
	    vmc_uplink_name_for_guest(listener->uplink, listener->vm,
				      &remote) ||
	    !vmc_quota_has_room(listener->vm) ||
	    vmc_connect_link_to_uplink(listener->vm, listener->uplink,
				       &link)) {
		turn_away(fd);
		return;
	}
	inbound = calloc(1, sizeof(*inbound));
	if (!inbound) {
		turn_away(fd);
		return;
	}
	inbound->guest = listener->guest;
	inbound->remote = remote;
	relay = vmc_relay_create(link->trunk, fd, VMC_RELAY_WAITING);
	if (!relay) {
		free(inbound);
		return;
	}
	inbound->listener = listener;
	TAILQ_INSERT_TAIL(&listener->inbounds, inbound, entry);
	listener->nr_unanswered++;
	relay->inbound = inbound;
	if (link->state == VMC_LINK_UP)
		vmc_inbound_offer(relay);
}

static void accept_failed(struct vmc_host_listener *listener, int error)
{
	/* The others were the connection's own errors, or none is left. */
	if (error != EMFILE && error != ENFILE && error != ENOBUFS &&
	    error != ENOMEM)
		return;
	listener->is_starved = true;
	vmc_log_limited(&listener->vm->log_limit, VMC_LOG_WARNING,
			"no more connections for vm \"%s\" for now: %s",
			listener->vm->config->name, strerror(error));
}

static void listener_ready(struct vmc_watch *watch, uint32_t events)
{
	struct vmc_host_listener *listener =
		vmc_container_of(watch, struct vmc_host_listener, watch);
	struct sockaddr_storage address;
	socklen_t bytes;
	unsigned int i;
	int fd;

	(void)events;
	for (i = 0; i < ACCEPT_BATCH &&
	     listener->nr_unanswered < MAX_UNANSWERED; i++) {
		bytes = sizeof(address);
		/* Blocking: io_uring waits for what is not there. */
		fd = accept4(watch->fd, (struct sockaddr *)&address, &bytes,
			     SOCK_CLOEXEC);
		if (fd < 0) {
			accept_failed(listener, errno);
			break;
		}
		take(listener, fd, &address);
	}
	listen_for_more(listener);
}

static int create(struct vmc_uplink *uplink, struct vmc_vm *vm,
		  const struct vmc_name *host, const struct vmc_name *guest,
		  const char *published)
{
	struct vmc_host_listener *listener = calloc(1, sizeof(*listener));
	int error;

	if (!listener)
		return -ENOMEM;
	*listener = (struct vmc_host_listener){
		.watch = { vmc_host_socket_bind(host), listener_ready },
		.uplink = uplink,
		.vm = vm,
		.guest = *guest,
		.published = published,
	};
	TAILQ_INIT(&listener->inbounds);
	if (listener->watch.fd < 0) {
		error = listener->watch.fd;
		free(listener);
		return error;
	}
	LIST_INSERT_HEAD(bucket(uplink, le16toh(guest->port)), listener,
			 entry);
	return 0;
}

/* Bound, but not listening: the port is ours, and refuses. */
static void stop_listening(struct vmc_host_listener *listener)
{
	if (!listener->is_listening)
		return;
	vmc_loop_remove(listener->uplink->loop, &listener->watch);
	shutdown(listener->watch.fd, SHUT_RDWR);
	listener->is_listening = false;
}

static void start_listening(struct vmc_host_listener *listener)
{
	struct vmc_loop *loop = listener->uplink->loop;

	if (listener->is_listening)
		return;
	/* A socket that does not listen must not be watched: it hangs up. */
	if (listen(listener->watch.fd, HOST_BACKLOG) ||
	    vmc_loop_add(loop, &listener->watch, EPOLLIN)) {
		vmc_log_limited(&listener->vm->log_limit, VMC_LOG_WARNING,
				"cannot listen on the host for vm \"%s\"%s%s: %s",
				listener->vm->config->name,
				listener->published ? ", publish " : "",
				listener->published ? listener->published : "",
				strerror(errno));
		return;
	}
	listener->is_listening = true;
	listen_for_more(listener);
}

static void destroy(struct vmc_host_listener *listener)
{
	struct vmc_inbound *inbound;

	TAILQ_FOREACH(inbound, &listener->inbounds, entry)
		inbound->listener = NULL;
	stop_listening(listener);
	close(listener->watch.fd);
	LIST_REMOVE(listener, entry);
	free(listener);
}

static bool guest_listens(const struct vmc_vm *vm, const struct vmc_name *name)
{
	return vmc_listener_match(&vm->listeners, name, 0);
}

static struct vmc_host_listener *find_routed(struct vmc_uplink *uplink,
					     const struct vmc_vm *vm,
					     const struct vmc_name *guest)
{
	struct vmc_host_listener *listener;

	LIST_FOREACH(listener, bucket(uplink, le16toh(guest->port)), entry) {
		if (!listener->published && listener->vm == vm &&
		    listener->guest.port == guest->port &&
		    vmc_name_has_same_address(&listener->guest, guest))
			return listener;
	}
	return NULL;
}

/* In routed mode: listen at the VM's own name while it does and may. */
static void update_routed(struct vmc_uplink *uplink, struct vmc_vm *vm,
			  const struct vmc_name *name)
{
	struct vmc_host_listener *listener = find_routed(uplink, vm, name);
	bool is_wanted = guest_listens(vm, name) &&
		vmc_policy_may_be_open(uplink->table->config->policy,
				       vm->config, VMC_PROTOCOL_TCP,
				       le16toh(name->port));
	char text[VMC_ADDRESS_TEXT_BYTES];
	int error = 0;

	if (!is_wanted) {
		if (listener)
			destroy(listener);
		return;
	}
	if (listener)
		return;
	error = create(uplink, vm, name, name, NULL);
	if (!error)
		start_listening(find_routed(uplink, vm, name));
	else
		vmc_log_limited(&vm->log_limit, VMC_LOG_WARNING,
				"vm \"%s\" cannot be reached from outside at %s: %s",
				vm->config->name, vmc_name_format(name, text),
				strerror(-error));
}

/**
 * vmc_inbound_update - a VM began or ceased to listen at a port
 * @uplink: the uplink
 * @vm: the VM, with its listeners as they are now
 * @port: which
 */
void vmc_inbound_update(struct vmc_uplink *uplink, struct vmc_vm *vm,
			uint16_t port)
{
	struct vmc_host_listener *listener;
	struct vmc_name name;
	unsigned int i;

	LIST_FOREACH(listener, bucket(uplink, port), entry) {
		if (!listener->published || listener->vm != vm ||
		    listener->guest.port != htole16(port))
			continue;
		if (guest_listens(vm, &listener->guest))
			start_listening(listener);
		else
			stop_listening(listener);
	}
	if (vm->config->source != VMC_SOURCE_ROUTED)
		return;
	for (i = 0; i < vm->config->nr_addresses; i++) {
		name = (struct vmc_name){
			.family = vm->config->addresses[i].family,
			.port = htole16(port),
		};
		memcpy(name.address, vm->config->addresses[i].address,
		       sizeof(name.address));
		update_routed(uplink, vm, &name);
	}
}

/**
 * vmc_inbound_update_all - the policy is another
 * @uplink: the uplink
 */
void vmc_inbound_update_all(struct vmc_uplink *uplink)
{
	const struct vmc_listener *listener;
	struct vmc_vm *vm;
	unsigned int i, k;

	for (i = 0; i < uplink->table->nr; i++) {
		vm = &uplink->table->vms[i];
		for (k = 0; k < VMC_LISTENER_BUCKETS; k++) {
			LIST_FOREACH(listener, &vm->listeners.by_port[k],
				     by_port)
				vmc_inbound_update(uplink, vm, le16toh(
						   listener->local.port));
		}
	}
}

static void stop(struct vmc_host_listener *listener, bool is_for_good)
{
	if (is_for_good || !listener->published)
		destroy(listener);
	else
		stop_listening(listener);
}

/* All listeners of a VM, or of every VM. */
static void stop_all(struct vmc_uplink *uplink, const struct vmc_vm *vm)
{
	struct vmc_host_listener *listener, *next;
	unsigned int i;

	for (i = 0; i < VMC_INBOUND_BUCKETS; i++) {
		listener = LIST_FIRST(&uplink->inbound.by_port[i]);
		for (; listener; listener = next) {
			next = LIST_NEXT(listener, entry);
			if (!vm || listener->vm == vm)
				stop(listener, !vm);
		}
	}
}

/**
 * vmc_inbound_leave - a VM is gone and listens no more
 * @uplink: the uplink
 * @vm: the VM
 */
void vmc_inbound_leave(struct vmc_uplink *uplink, struct vmc_vm *vm)
{
	stop_all(uplink, vm);
}

/**
 * vmc_inbound_close - end all listeners
 * @uplink: the uplink
 */
void vmc_inbound_close(struct vmc_uplink *uplink)
{
	stop_all(uplink, NULL);
}

/**
 * vmc_inbound_tick - try again to accept where descriptors or memory lacked
 * @uplink: the uplink
 */
void vmc_inbound_tick(struct vmc_uplink *uplink)
{
	struct vmc_host_listener *listener;
	unsigned int i;

	for (i = 0; i < VMC_INBOUND_BUCKETS; i++) {
		LIST_FOREACH(listener, &uplink->inbound.by_port[i], entry) {
			if (!listener->is_starved)
				continue;
			listener->is_starved = false;
			listen_for_more(listener);
		}
	}
}

/**
 * vmc_inbound_open - claim the published names
 * @uplink: its configuration names them
 *
 * Return: 0, or the error of a port that is taken or forbidden, logged.
 */
int vmc_inbound_open(struct vmc_uplink *uplink)
{
	const struct vmc_config *config = uplink->table->config;
	const struct vmc_config_publish *publish;
	unsigned int i;
	int error;

	for (i = 0; i < config->nr_publishes; i++) {
		publish = &config->publishes[i];
		if (publish->protocol != VMC_PROTOCOL_TCP)
			continue;
		error = create(uplink, &uplink->table->vms[publish->vm],
			       &publish->host, &publish->guest, publish->text);
		if (!error)
			continue;
		vmc_log(VMC_LOG_ERROR, "cannot publish \"%s\": %s",
			publish->text, strerror(-error));
		return error;
	}
	return 0;
}

/**
 * vmc_inbound_offer - offer the guest what the host accepted
 * @relay: accepted, its link is up; freed soon if there is no taker
 */
void vmc_inbound_offer(struct vmc_relay *relay)
{
	const struct vmc_inbound *inbound = relay->inbound;
	struct vmc_vm *vm = vmc_terminal_vm(&relay->terminal);
	const struct vmc_listener *listener;

	listener = vmc_listener_match(&vm->listeners, &inbound->guest,
				      vmc_name_hash(&inbound->remote,
						    &inbound->guest));
	if (!listener || vmc_outbox_is_crowded(&vm->outbox) ||
	    vmc_terminal_offer(&relay->terminal, &inbound->guest,
			       &inbound->remote, false,
			       (uint32_t[]){ listener->tx_bytes,
					     listener->rx_bytes },
			       listener->id))
		vmc_relay_abort(relay);
	else
		relay->state = VMC_RELAY_OFFERED;
}
