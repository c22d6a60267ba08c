// SPDX-License-Identifier: MIT
/*
 * How an end that is a process is woken: a futex in the link's wake area, or
 * a byte on the circuit's socket for who sleeps in poll(). Owns nothing. Called
 * by the library, and by the switch on behalf of a guest.
 *
 * Neither can be turned against who rings: a futex has no owner to wait for,
 * and each end has its own file description of the socket, so no peer chooses
 * whether send() blocks.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/shared.h"
#include "lib/wake.h"

/**
 * vmc_wake - wake the peer
 * @peer: its line of the wake area
 * @socket: the circuit's, of who rings; -1: there is none
 *
 * What it is woken for has been stored before. Any thread; never sleeps. A
 * full socket means that the peer has bytes to read, so it is awake.
 */
void vmc_wake(struct vmc_wakeup *peer, int socket)
{
	uint32_t raw_waits;

	/*
	 * Two threads may ring. Full barrier, pairs with vmc_wake_by(): we see
	 * how the peer sleeps now, or it sees the count before it sleeps.
	 */
	__atomic_fetch_add(&peer->rings, htole32(1), __ATOMIC_SEQ_CST);
	raw_waits = vmc_shared_load32(&peer->waits_by);
	if (raw_waits & VMC_WAITS_FUTEX)
		syscall(SYS_futex, &peer->rings, FUTEX_WAKE, INT_MAX, NULL,
			NULL, 0);
	if (raw_waits != VMC_WAITS_FUTEX && socket >= 0)
		send(socket, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/**
 * vmc_wake_by - say how one sleeps from now on
 * @own: our line of the wake area
 * @waits_by: VMC_WAITS_; look at everything again before the first sleep
 */
void vmc_wake_by(struct vmc_wakeup *own, uint32_t waits_by)
{
	vmc_shared_store32(&own->waits_by, waits_by);
	vmc_shared_barrier();
}

/**
 * vmc_wake_seen - how often the peer rang up to now
 * @own: our line of the wake area
 *
 * To be called before the last look at what one would sleep for.
 */
uint32_t vmc_wake_seen(const struct vmc_wakeup *own)
{
	return __atomic_load_n(&own->rings, __ATOMIC_SEQ_CST);
}

/**
 * vmc_wake_sleep - sleep until the peer rings
 * @own: our line of the wake area
 * @seen: from vmc_wake_seen(); a bell since then ends the sleep at once
 * @timeout_ms: for how long at most; negative: for ever
 *
 * Return: 0 when it rang or for no reason, -ETIMEDOUT, -EINTR.
 */
int vmc_wake_sleep(struct vmc_wakeup *own, uint32_t seen, int timeout_ms)
{
	const struct timespec timeout = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = timeout_ms % 1000 * 1000000L,
	};

	if (!syscall(SYS_futex, &own->rings, FUTEX_WAIT, seen,
		     timeout_ms < 0 ? NULL : &timeout, NULL, 0) ||
	    errno == EAGAIN)
		return 0;
	return -errno;
}
