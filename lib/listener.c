// SPDX-License-Identifier: MIT
/*
 * Listen as an endpoint, and accept what is offered. Owns the offers that wait.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/deadline.h"
#include "lib/endpoint.h"
#include "lib/name.h"

/* The switch answers at once; so long, it is stuck, ms. */
#define ANSWER_TIMEOUT_MS	5000

/**
 * vmc_listen - let others connect
 * @endpoint: open
 * @local: AF_INET or AF_INET6; an address of the endpoint or the wildcard, and
 *	a port that is not 0
 * @bytes: its length
 * @ret_listener: ended with vmc_unlisten()
 *
 * Who connects may send at once; some hundreds may wait for vmc_accept(), more
 * are refused.
 *
 * Return: 0; -EADDRINUSE when another process of the endpoint listens there,
 * -EADDRNOTAVAIL, -EINVAL, -EAFNOSUPPORT, -ENOBUFS, -ENOTCONN when the switch
 * is gone, -EINTR, -ETIMEDOUT, -ENOMEM. One process may listen twice at one
 * name: connections are spread over both.
 */
int vmc_listen(struct vmc_endpoint *endpoint, const struct sockaddr *local,
	       socklen_t bytes, struct vmc_listener **ret_listener)
{
	struct vmc_listener *listener = calloc(1, sizeof(*listener));
	struct vmc_listen listen = { 0 };
	struct vmc_unlisten unlisten;
	int error = -ENOMEM;

	if (!listener)
		return error;
	error = vmc_name_from(local, bytes, &listen.local);
	if (error)
		goto free_listener;
	listener->endpoint = endpoint;
	listener->id = endpoint->next_id++;
	TAILQ_INIT(&listener->pending);
	listen.listener = htole32(listener->id);
	endpoint->awaited = (struct vmc_awaited){
		.type = VMC_MSG_LISTEN,
		.id = listener->id,
	};
	/* Before the answer: an OFFER may come right after it. */
	LIST_INSERT_HEAD(&endpoint->listeners, listener, entry);
	error = vmc_endpoint_send(endpoint, VMC_MSG_LISTEN, &listen);
	while (!error && !endpoint->awaited.is_answered)
		error = vmc_endpoint_receive(endpoint, ANSWER_TIMEOUT_MS);
	endpoint->awaited.type = 0;
	if (!error && !endpoint->awaited.error) {
		*ret_listener = listener;
		return 0;
	}
	if (error) {
		/* Nobody knows what the answer will be. */
		unlisten = (struct vmc_unlisten){ listen.listener, 0 };
		vmc_endpoint_send(endpoint, VMC_MSG_UNLISTEN, &unlisten);
	}
	error = error == -EAGAIN ? -ETIMEDOUT :
				   error ?: -endpoint->awaited.error;
	LIST_REMOVE(listener, entry);
free_listener:
	free(listener);
	return error;
}

/* 0, or why the circuit is given up. */
static int accept_first(struct vmc_listener *listener,
			struct sockaddr_storage *ret_remote,
			struct vmc_connection **ret_connection)
{
	struct vmc_pending *pending = TAILQ_FIRST(&listener->pending);
	struct vmc_endpoint *endpoint = listener->endpoint;
	int error;

	error = vmc_host_circuit_open(endpoint, &pending->news,
				      ret_connection);
	if (error)
		vmc_endpoint_drop(endpoint, &pending->news);
	if (!error && ret_remote)
		vmc_name_to(&pending->remote, ret_remote);
	vmc_endpoint_forget(listener, pending);
	return error;
}

/**
 * vmc_accept - take the next connection
 * @listener: from vmc_listen()
 * @timeout_ms: for how long to wait; 0: not at all, negative: for ever
 * @ret_remote: who connected, AF_INET or AF_INET6; may be NULL
 * @ret_connection: ended with vmc_detach()
 *
 * Return: 0, -EAGAIN after the timeout, -EINTR, -ENOTCONN when the switch is
 * gone; -ENOMEM or -EMFILE when one connection had to be given up.
 */
int vmc_accept(struct vmc_listener *listener, int timeout_ms,
	       struct sockaddr_storage *ret_remote,
	       struct vmc_connection **ret_connection)
{
	uint64_t end_us = vmc_deadline_us(timeout_ms);
	int error, left_ms;

	for (;;) {
		if (!TAILQ_EMPTY(&listener->pending)) {
			error = accept_first(listener, ret_remote,
					     ret_connection);
			/* Whose machine is gone is nobody's business. */
			if (error != -ECONNRESET)
				return error;
			continue;
		}
		left_ms = vmc_deadline_left_ms(end_us, timeout_ms);
		error = vmc_endpoint_receive(listener->endpoint, left_ms);
		if (error == -EAGAIN && left_ms)
			continue;
		if (error)
			return error;
	}
}

/**
 * vmc_unlisten - listen no more
 * @listener: not used afterwards; what was not accepted is reset
 */
void vmc_unlisten(struct vmc_listener *listener)
{
	struct vmc_endpoint *endpoint = listener->endpoint;
	const struct vmc_unlisten unlisten = {
		.listener = htole32(listener->id),
	};
	struct vmc_pending *pending;

	vmc_endpoint_send(endpoint, VMC_MSG_UNLISTEN, &unlisten);
	/* Who was offered already, too. Whoever is on the way is reset later. */
	while (!vmc_endpoint_receive(endpoint, 0))
		;
	while ((pending = TAILQ_FIRST(&listener->pending))) {
		vmc_endpoint_drop(endpoint, &pending->news);
		vmc_endpoint_forget(listener, pending);
	}
	LIST_REMOVE(listener, entry);
	free(listener);
}
