/* SPDX-License-Identifier: MIT */
#ifndef VMC_LIB_ENDPOINT_H
#define VMC_LIB_ENDPOINT_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "lib/vmcircuit.h"
#include "proto/wire.h"

/* What the process shares with one peer. */
struct vmc_endpoint_link {
	uint32_t generation;	/* 0: there is none */
	int tx_fd;		/* the segment that we write */
	int rx_fd;		/* the one that we only read */
	int wake_fd;		/* the wake area */
	unsigned int end;	/* ours, 0 or 1 */
};

/* A circuit that the switch told of, not mapped yet. */
struct vmc_circuit_news {
	struct vmc_circuit_id id;
	struct vmc_ring_place place;
	int socket;		/* -1: the circuit is over already */
};

/* A circuit that was offered, and not accepted yet. */
struct vmc_pending {
	struct vmc_circuit_news news;
	struct vmc_name remote;
	TAILQ_ENTRY(vmc_pending) entry;
};

struct vmc_host_circuit;

struct vmc_listener {
	struct vmc_endpoint *endpoint;
	uint32_t id;
	TAILQ_HEAD(, vmc_pending) pending;	/* the oldest first */
	LIST_ENTRY(vmc_listener) entry;
};

/* What the one request under way waits for. */
struct vmc_awaited {
	unsigned int type;	/* CONNECT or LISTEN; 0: nothing */
	uint32_t id;		/* its cookie or listener */
	bool is_answered;
	int error;		/* positive errno */
	struct vmc_circuit_news news;	/* of CONNECTED */
};

/*
 * A process's connection to the switch. Used by one thread at a time, but for
 * what the lock protects.
 */
struct vmc_endpoint {
	int fd;			/* to the switch */
	int set_fd;		/* epoll: fd and pending_fd */
	int pending_fd;		/* eventfd: not 0 while somebody waits */
	bool is_lost;		/* the switch is gone */
	struct vmc_welcome welcome;
	uint32_t next_id;	/* of cookies and listeners */
	uint16_t next_port;
	struct vmc_awaited awaited;
	LIST_HEAD(, vmc_listener) listeners;
	unsigned int nr_pending;

	/* Waits for the end of the switch, see lookout.c. */
	pthread_t lookout;
	bool has_lookout;
	bool is_adrift;		/* nobody tells of peers; atomic */

	/* Against the connections, which other threads may detach. */
	pthread_mutex_t lock;
	LIST_HEAD(, vmc_host_circuit) circuits;
	struct vmc_endpoint_link links[VMC_MAX_LINKS];
};

void vmc_lookout_start(struct vmc_endpoint *endpoint);
void vmc_lookout_stop(struct vmc_endpoint *endpoint);

int vmc_endpoint_send(struct vmc_endpoint *endpoint, unsigned int type,
		      const void *body);
int vmc_endpoint_receive(struct vmc_endpoint *endpoint, int timeout_ms);
void vmc_endpoint_close_circuit(struct vmc_endpoint *endpoint,
				const struct vmc_circuit_id *id,
				uint32_t generation);
void vmc_endpoint_drop(struct vmc_endpoint *endpoint,
		       struct vmc_circuit_news *news);
void vmc_endpoint_forget(struct vmc_listener *listener,
			 struct vmc_pending *pending);

int vmc_host_circuit_open(struct vmc_endpoint *endpoint,
			  struct vmc_circuit_news *news,
			  struct vmc_connection **ret_connection);
void vmc_host_circuit_abort(struct vmc_connection *connection);
void vmc_host_circuit_nudge_all(struct vmc_endpoint *endpoint);

#endif /* VMC_LIB_ENDPOINT_H */
