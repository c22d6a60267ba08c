/* SPDX-License-Identifier: MIT */
#ifndef VMC_LIB_MAPPED_H
#define VMC_LIB_MAPPED_H

#include "lib/end.h"
#include "lib/transport.h"

struct vmc_mapped;

/* What the two kinds of circuits do differently. */
struct vmc_mapped_ops {
	/* Ring the peer, which asked for it. Return: 0 or -errno. */
	int (*ring)(struct vmc_mapped *mapped);
	/*
	 * Nothing can be had of @what, one flag: is that the end? Return: 0 at
	 * the end, -EAGAIN, or a failure. What came meanwhile is looked for
	 * afterwards.
	 */
	int (*look)(struct vmc_mapped *mapped, unsigned int what);
	/* Positive errno of the connection, if somebody knows; else 0. */
	int (*error)(struct vmc_mapped *mapped);
};

/* A connection that is a circuit: the program works in its rings. */
struct vmc_mapped {
	struct vmc_connection connection;
	const struct vmc_mapped_ops *ops;
	struct vmc_end end;
	int error;		/* the connection's, once and for all */
};

/**
 * vmc_mapped_of - the circuit of a connection
 * @connection: whose transport has the functions below
 */
static inline struct vmc_mapped *
vmc_mapped_of(const struct vmc_connection *connection)
{
	return (struct vmc_mapped *)connection;
}

int vmc_mapped_fail(struct vmc_mapped *mapped, int otherwise);
ssize_t vmc_mapped_reserve(struct vmc_connection *connection, size_t bytes,
			   void **ret_span);
int vmc_mapped_commit(struct vmc_connection *connection, size_t bytes);
ssize_t vmc_mapped_peek(struct vmc_connection *connection, size_t bytes,
			const void **ret_span);
int vmc_mapped_release(struct vmc_connection *connection, size_t bytes);
bool vmc_mapped_probe(struct vmc_connection *connection, unsigned int what);
size_t vmc_mapped_unsent(const struct vmc_connection *connection);

#endif /* VMC_LIB_MAPPED_H */
