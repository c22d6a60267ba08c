// SPDX-License-Identifier: MIT
/*
 * Connect from an endpoint to a listener of a VM, or of another process.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "lib/deadline.h"
#include "lib/endpoint.h"
#include "lib/name.h"

/* Ports that dialling takes, as Linux has them. */
#define FIRST_PORT	32768
#define NR_PORTS	28232

static const struct vmc_address *find_own(const struct vmc_welcome *welcome,
					  unsigned int family)
{
	unsigned int i;

	for (i = 0; i < le32toh(welcome->nr_addresses) &&
	     i < VMC_MAX_ADDRESSES; i++) {
		if (welcome->addresses[i].family == family)
			return &welcome->addresses[i];
	}
	return NULL;
}

static bool is_loopback(const struct vmc_name *name)
{
	static const uint8_t loopback6[16] = { [15] = 1 };

	return name->family == VMC_FAMILY_INET ?
	       name->address[0] == 127 :
	       !memcmp(name->address, loopback6, sizeof(loopback6));
}

/* Who we are for @remote. */
static int choose_local(struct vmc_endpoint *endpoint,
			const struct vmc_name *remote,
			struct vmc_name *ret_local)
{
	const struct vmc_address *own =
		find_own(&endpoint->welcome, remote->family);
	struct vmc_name local = *remote;

	if (!is_loopback(remote)) {
		if (!own)
			return -EADDRNOTAVAIL;
		memcpy(local.address, own->address, sizeof(local.address));
	}
	local.port = htole16((uint16_t)(FIRST_PORT +
					endpoint->next_port++ % NR_PORTS));
	*ret_local = local;
	return 0;
}

/* The answer to CONNECT, or the end of patience. */
static int await(struct vmc_endpoint *endpoint, int timeout_ms)
{
	uint64_t end_us = vmc_deadline_us(timeout_ms);
	struct vmc_cancel cancel = {
		.cookie = htole32(endpoint->awaited.id),
	};
	int error;

	while (!endpoint->awaited.is_answered) {
		error = vmc_endpoint_receive(
			endpoint, vmc_deadline_left_ms(end_us, timeout_ms));
		if (!error ||
		    (error == -EAGAIN &&
		     vmc_deadline_left_ms(end_us, timeout_ms)))
			continue;
		if (error != -ENOTCONN)
			vmc_endpoint_send(endpoint, VMC_MSG_CANCEL, &cancel);
		endpoint->awaited.type = 0;
		return error == -EAGAIN ? -ETIMEDOUT : error;
	}
	endpoint->awaited.type = 0;
	return -endpoint->awaited.error;
}

/**
 * vmc_dial - connect to a listener
 * @endpoint: open
 * @remote: AF_INET or AF_INET6, of a VM, an endpoint, or this very process
 * @bytes: its length
 * @timeout_ms: for how long to wait; 0: not at all, negative: for ever
 * @ret_connection: ended with vmc_detach()
 *
 * Return: 0; -ECONNREFUSED when nobody listens, -EHOSTUNREACH when nobody has
 * the address or may be reached, -ETIMEDOUT, -EINTR, -EADDRNOTAVAIL without an
 * address of that family, -ENOBUFS when a limit is reached, -ENOTCONN when the
 * switch is gone, -ECONNRESET when the peer left at once, -EMFILE when there
 * was no descriptor for the link, which stays so until the endpoint is opened
 * anew, -EAFNOSUPPORT, -EINVAL, -ENOMEM.
 */
int vmc_dial(struct vmc_endpoint *endpoint, const struct sockaddr *remote,
	     socklen_t bytes, int timeout_ms,
	     struct vmc_connection **ret_connection)
{
	struct vmc_connect connect = { 0 };
	int error;

	error = vmc_name_from(remote, bytes, &connect.remote);
	if (!error)
		error = choose_local(endpoint, &connect.remote, &connect.local);
	if (error)
		return error;
	endpoint->awaited = (struct vmc_awaited){
		.type = VMC_MSG_CONNECT,
		.id = endpoint->next_id++,
	};
	connect.cookie = htole32(endpoint->awaited.id);
	error = vmc_endpoint_send(endpoint, VMC_MSG_CONNECT, &connect);
	if (!error)
		error = await(endpoint, timeout_ms);
	if (error)
		return error;
	error = vmc_host_circuit_open(endpoint, &endpoint->awaited.news,
				      ret_connection);
	if (error)
		vmc_endpoint_drop(endpoint, &endpoint->awaited.news);
	return error;
}
