// SPDX-License-Identifier: MIT
/*
 * A thread of an endpoint that sleeps until the switch is gone. While the
 * switch is there it tells every process of a peer that died, so nobody who
 * waits for a peer needs a timer, which costs more than the rest of a wake-up.
 */
#include <poll.h>
#include <signal.h>

#include "lib/endpoint.h"

#define STACK_BYTES	(64U << 10)

static void *look_out(void *argument)
{
	struct vmc_endpoint *endpoint = argument;
	/* No events: poll() ends when the socket does. */
	struct pollfd poll_fd = { .fd = endpoint->fd };

	while (poll(&poll_fd, 1, -1) < 0)
		;
	__atomic_store_n(&endpoint->is_adrift, true, __ATOMIC_SEQ_CST);
	vmc_host_circuit_nudge_all(endpoint);
	return NULL;
}

/**
 * vmc_lookout_start - begin to wait for the end of the switch
 * @endpoint: open
 *
 * Without a thread to spare, whoever sleeps looks for its peer now and then.
 */
void vmc_lookout_start(struct vmc_endpoint *endpoint)
{
	pthread_attr_t attributes;
	sigset_t all, before;

	/* The program's signals are for the program's threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	endpoint->has_lookout = !pthread_create(&endpoint->lookout,
						&attributes, look_out,
						endpoint);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!endpoint->has_lookout)
		__atomic_store_n(&endpoint->is_adrift, true, __ATOMIC_SEQ_CST);
}

/**
 * vmc_lookout_stop - end the thread
 * @endpoint: its socket is of no use afterwards
 */
void vmc_lookout_stop(struct vmc_endpoint *endpoint)
{
	if (!endpoint->has_lookout)
		return;
	shutdown(endpoint->fd, SHUT_RDWR);
	pthread_join(endpoint->lookout, NULL);
	endpoint->has_lookout = false;
}
