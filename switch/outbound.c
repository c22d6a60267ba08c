// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From a guest to the outside: the host's socket is made and connected, and a
 * proxy asked if the policy says so, before the guest gets its circuit; so
 * connect() ends there as it ended here. Called by connect.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "switch/address.h"
#include "switch/connect.h"
#include "switch/host_socket.h"
#include "switch/outbound.h"
#include "switch/relay.h"
#include "switch/socks5.h"
#include "switch/uplink.h"

struct vmc_outbound {
	struct vmc_dial *dial;		/* NULL: answered or cancelled */
	struct sockaddr_storage address;	/* of target or proxy */
	struct vmc_name target;
	bool has_proxy;
	struct vmc_proxy proxy;
	struct vmc_socks5 socks5;
	size_t nr_bytes;		/* of the message under way */
	size_t nr_done;
	uint8_t bytes[VMC_SOCKS5_MAX_BYTES];
};

/**
 * vmc_outbound_free - forget how a relay began
 * @outbound: of a relay, or NULL
 *
 * A CONNECT without an answer belongs to a VM that has left.
 */
void vmc_outbound_free(struct vmc_outbound *outbound)
{
	free(outbound);
}

static void fail(struct vmc_relay *relay, int error)
{
	struct vmc_dial *dial = relay->outbound->dial;

	relay->outbound->dial = NULL;
	vmc_connect_fail(dial, error);
	vmc_relay_abort(relay);
}

static void succeed(struct vmc_relay *relay)
{
	struct vmc_dial *dial = relay->outbound->dial;

	vmc_outbound_free(relay->outbound);
	relay->outbound = NULL;
	vmc_relay_connected(relay, dial);
}

static void send_rest(struct vmc_relay *relay)
{
	struct vmc_outbound *outbound = relay->outbound;

	io_uring_prep_send(vmc_uring_prepare(vmc_relay_uring(relay),
					     &relay->tx),
			   relay->fd, outbound->bytes + outbound->nr_done,
			   outbound->nr_bytes - outbound->nr_done,
			   MSG_NOSIGNAL);
}

/* The next thing to say to the proxy, or to hear from it. */
static void go_on(struct vmc_relay *relay)
{
	struct vmc_outbound *outbound = relay->outbound;
	size_t wanted;

	outbound->nr_done = 0;
	outbound->nr_bytes = vmc_socks5_output(&outbound->socks5,
					       outbound->bytes);
	if (outbound->nr_bytes) {
		send_rest(relay);
		return;
	}
	wanted = vmc_socks5_wanted(&outbound->socks5);
	if (!wanted) {
		succeed(relay);
		return;
	}
	io_uring_prep_recv(vmc_uring_prepare(vmc_relay_uring(relay),
					     &relay->rx),
			   relay->fd, outbound->bytes, wanted, 0);
}

static void said(struct vmc_uring_op *op, int result, unsigned int flags)
{
	struct vmc_relay *relay = vmc_container_of(op, struct vmc_relay, tx);
	struct vmc_outbound *outbound = relay->outbound;

	(void)flags;
	if (vmc_relay_is_ended(relay))
		return;
	if (result < 0) {
		fail(relay, -result);
		return;
	}
	outbound->nr_done += (size_t)result;
	if (outbound->nr_done < outbound->nr_bytes)
		send_rest(relay);
	else
		go_on(relay);
}

static void heard(struct vmc_uring_op *op, int result, unsigned int flags)
{
	struct vmc_relay *relay = vmc_container_of(op, struct vmc_relay, rx);
	struct vmc_outbound *outbound = relay->outbound;

	(void)flags;
	if (vmc_relay_is_ended(relay))
		return;
	/* A proxy that hangs up refuses. */
	if (!result)
		result = -ECONNREFUSED;
	if (result > 0)
		result = vmc_socks5_input(&outbound->socks5, outbound->bytes,
					  (size_t)result);
	if (result < 0)
		fail(relay, -result);
	else
		go_on(relay);
}

static void connected(struct vmc_uring_op *op, int result, unsigned int flags)
{
	struct vmc_relay *relay = vmc_container_of(op, struct vmc_relay, tx);
	struct vmc_outbound *outbound = relay->outbound;

	(void)flags;
	if (vmc_relay_is_ended(relay))
		return;
	if (result < 0) {
		fail(relay, -result);
		return;
	}
	if (!outbound->has_proxy) {
		succeed(relay);
		return;
	}
	relay->tx.done = said;
	relay->rx.done = heard;
	vmc_socks5_begin(&outbound->socks5, &outbound->proxy,
			 &outbound->target);
	go_on(relay);
}

static struct vmc_outbound *create(struct vmc_dial *dial,
				   const struct vmc_name *target,
				   const struct vmc_carriage *carriage)
{
	struct vmc_outbound *outbound = calloc(1, sizeof(*outbound));

	if (!outbound)
		return NULL;
	outbound->dial = dial;
	outbound->target = *target;
	outbound->has_proxy = carriage->has_proxy;
	outbound->proxy = carriage->proxy;
	return outbound;
}

/* Make the socket and begin to connect. */
static int start(struct vmc_dial *dial, const struct vmc_name *target,
		 const struct vmc_carriage *carriage)
{
	bool is_routed = dial->vm->config->source == VMC_SOURCE_ROUTED;
	const struct vmc_name *first = carriage->has_proxy ?
				       &carriage->proxy.name : target;
	struct vmc_outbound *outbound;
	struct vmc_relay *relay;
	socklen_t bytes;
	int fd;

	/* To a proxy, and to the host itself, the VM's address means nothing. */
	if (carriage->has_proxy || vmc_name_is_loopback(target))
		is_routed = false;
	fd = vmc_host_socket_dial(first, carriage,
				  is_routed ? &dial->local : NULL);
	if (fd < 0)
		return fd == -EMFILE || fd == -ENFILE ? -ENOBUFS : fd;
	relay = vmc_relay_create(dial->link->trunk, fd, VMC_RELAY_DIALLING);
	if (!relay)
		return -ENOBUFS;
	outbound = create(dial, target, carriage);
	if (!outbound) {
		vmc_relay_abort(relay);
		return -ENOBUFS;
	}
	relay->outbound = outbound;
	TAILQ_REMOVE(&dial->link->dials, dial, waiting);
	dial->stage = VMC_DIAL_OUTSIDE;
	dial->relay = relay;
	bytes = vmc_host_socket_address(first, &outbound->address);
	relay->tx.done = connected;
	io_uring_prep_connect(vmc_uring_prepare(vmc_relay_uring(relay),
					     &relay->tx),
			      fd, (struct sockaddr *)&outbound->address,
			      bytes);
	return 0;
}

/**
 * vmc_outbound_dial - dial on behalf of a guest
 * @dial: waits for its link, which is up
 *
 * The guest gets CONNECTED, or FAILED with what the host's connect() says;
 * EACCES if the policy was changed meanwhile.
 */
void vmc_outbound_dial(struct vmc_dial *dial)
{
	struct vmc_uplink *uplink = dial->link->trunk->uplink;
	const struct vmc_carriage *carriage;
	struct vmc_name target;
	int error;

	error = vmc_uplink_resolve(uplink, dial->vm, VMC_PROTOCOL_TCP,
				   &dial->remote, &target, &carriage);
	if (!error)
		error = -start(dial, &target, carriage);
	if (error)
		vmc_connect_fail(dial, error);
}

/**
 * vmc_outbound_cancel - the guest no longer wants what it dialled
 * @relay: dialling; freed soon
 */
void vmc_outbound_cancel(struct vmc_relay *relay)
{
	relay->outbound->dial = NULL;
	vmc_relay_abort(relay);
}
