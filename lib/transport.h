/* SPDX-License-Identifier: MIT */
#ifndef VMC_LIB_TRANSPORT_H
#define VMC_LIB_TRANSPORT_H

#include <stdbool.h>

#include "lib/vmcircuit.h"

/*
 * How a connection moves bytes. The functions mean what those of vmcircuit.h
 * mean.
 */
struct vmc_transport {
	enum vmc_kind kind;
	int (*destroy)(struct vmc_connection *connection);
	ssize_t (*reserve)(struct vmc_connection *connection, size_t bytes,
			   void **ret_span);
	int (*commit)(struct vmc_connection *connection, size_t bytes);
	ssize_t (*peek)(struct vmc_connection *connection, size_t bytes,
			const void **ret_span);
	int (*release)(struct vmc_connection *connection, size_t bytes);
	/* Whether a wait would end, without a system call; may miss an end. */
	bool (*probe)(struct vmc_connection *connection, unsigned int what);
	/* For at most @timeout_ms, negative: for ever; may end for no reason. */
	int (*sleep)(struct vmc_connection *connection, unsigned int what,
		     int timeout_ms);
	int (*shutdown)(struct vmc_connection *connection);
	int (*fd)(struct vmc_connection *connection);
	short (*events)(unsigned int what);
	/* Bytes that wait in a buffer; none once the connection failed. */
	size_t (*unsent)(const struct vmc_connection *connection);
};

struct vmc_connection {
	const struct vmc_transport *transport;
	int fd;
	uint32_t spin_us;
};

int vmc_guest_circuit_open(int fd, struct vmc_connection **ret_connection);
int vmc_buffered_open(int fd, struct vmc_connection **ret_connection);

/* socket.c: the functions of transports whose connection is a socket. */
int vmc_socket_error(int fd);
int vmc_socket_sleep(struct vmc_connection *connection, unsigned int what,
		     int timeout_ms);
int vmc_socket_shutdown(struct vmc_connection *connection);
int vmc_socket_fd(struct vmc_connection *connection);
short vmc_socket_events(unsigned int what);

#endif /* VMC_LIB_TRANSPORT_H */
