// SPDX-License-Identifier: MIT
/*
 * Work in place in a circuit's rings: the functions of both transports that
 * have them mapped, guest_circuit.c and host_circuit.c.
 */
#include <errno.h>

#include "lib/mapped.h"
#include "lib/shared.h"

/**
 * vmc_mapped_fail - the connection is of no more use
 * @mapped: the circuit
 * @otherwise: why, if nobody who ought to know says anything
 *
 * Return: the error, negative.
 */
int vmc_mapped_fail(struct vmc_mapped *mapped, int otherwise)
{
	int error = mapped->ops->error(mapped);

	mapped->error = error ? error : otherwise;
	return -mapped->error;
}

/**
 * vmc_mapped_reserve - vmc_reserve() of a circuit
 */
ssize_t vmc_mapped_reserve(struct vmc_connection *connection, size_t bytes,
			   void **ret_span)
{
	struct vmc_mapped *mapped = vmc_mapped_of(connection);
	struct vmc_end *end = &mapped->end;
	uint32_t flags, room;
	int error;

	if (mapped->error)
		return -mapped->error;
	flags = vmc_end_peer_flags(end);
	if (flags & VMC_CTL_RST)
		return vmc_mapped_fail(mapped, ECONNRESET);
	if ((flags & VMC_CTL_GONE) ||
	    (vmc_shared_load32(&end->own->flags) & VMC_CTL_FIN))
		return -EPIPE;
	room = vmc_end_writable_for(end, bytes < end->tx_bytes ?
				    (uint32_t)bytes : end->tx_bytes);
	if (!room) {
		error = mapped->ops->look(mapped, VMC_WAIT_SPACE);
		if (error != -EAGAIN)
			return error ? error : -EPIPE;
		room = vmc_end_writable(end);
		if (!room)
			return -EAGAIN;
	}
	*ret_span = end->tx + (end->prod & (end->tx_bytes - 1));
	return room < bytes ? room : (ssize_t)bytes;
}

/**
 * vmc_mapped_commit - vmc_commit() of a circuit
 */
int vmc_mapped_commit(struct vmc_connection *connection, size_t bytes)
{
	struct vmc_mapped *mapped = vmc_mapped_of(connection);

	if (mapped->error)
		return -mapped->error;
	return vmc_end_produce(&mapped->end, (uint32_t)bytes) ?
	       mapped->ops->ring(mapped) : 0;
}

/**
 * vmc_mapped_peek - vmc_peek() of a circuit
 */
ssize_t vmc_mapped_peek(struct vmc_connection *connection, size_t bytes,
			const void **ret_span)
{
	struct vmc_mapped *mapped = vmc_mapped_of(connection);
	struct vmc_end *end = &mapped->end;
	uint32_t flags, fill;
	int error = -EAGAIN;

	if (mapped->error)
		return -mapped->error;
	/* In this order: who sees FIN sees the final index. */
	flags = vmc_end_peer_flags(end);
	fill = vmc_end_readable(end);
	if (!fill) {
		if ((flags & VMC_CTL_FIN) && !(flags & VMC_CTL_RST))
			return end->is_lying ?
			       vmc_mapped_fail(mapped, ECONNRESET) : 0;
		error = mapped->ops->look(mapped, VMC_WAIT_DATA);
		/* A FIN may have been seen, and bytes before it. */
		fill = error && error != -EAGAIN ? 0 : vmc_end_readable(end);
	}
	if (!fill)
		return error;
	*ret_span = end->rx + (end->cons & (end->rx_bytes - 1));
	return fill < bytes ? fill : (ssize_t)bytes;
}

/**
 * vmc_mapped_release - vmc_release() of a circuit
 */
int vmc_mapped_release(struct vmc_connection *connection, size_t bytes)
{
	struct vmc_mapped *mapped = vmc_mapped_of(connection);
	bool is_wanted;

	if (mapped->error)
		return -mapped->error;
	is_wanted = vmc_end_consume(&mapped->end, (uint32_t)bytes);
	/* If the link was lost, what was read may not be what was sent. */
	if (vmc_end_peer_flags(&mapped->end) & VMC_CTL_RST)
		return vmc_mapped_fail(mapped, ECONNRESET);
	return is_wanted ? mapped->ops->ring(mapped) : 0;
}

/**
 * vmc_mapped_probe - probe() of a circuit
 */
bool vmc_mapped_probe(struct vmc_connection *connection, unsigned int what)
{
	struct vmc_mapped *mapped = vmc_mapped_of(connection);
	struct vmc_end *end = &mapped->end;
	uint32_t flags = vmc_end_peer_flags(end);

	return mapped->error || (flags & VMC_CTL_RST) ||
	       ((what & VMC_WAIT_DATA) &&
		((flags & VMC_CTL_FIN) || vmc_end_readable(end))) ||
	       ((what & VMC_WAIT_SPACE) &&
		((flags & VMC_CTL_GONE) || vmc_end_writable(end))) ||
	       end->is_lying;
}

/**
 * vmc_mapped_unsent - unsent() of a circuit: what is committed is the peer's
 */
size_t vmc_mapped_unsent(const struct vmc_connection *connection)
{
	(void)connection;
	return 0;
}
