/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only place that asks for the kernel's version, and what the debug build
 * (VMC_DEBUG=1) checks of itself.
 */
#ifndef VMC_COMPAT_H
#define VMC_COMPAT_H

#include <linux/bug.h>
#include <linux/socket.h>
#include <linux/timer.h>
#include <linux/version.h>

#ifdef VMC_DEBUG
#define vmc_assert(condition) WARN_ON_ONCE(!(condition))
#else
#define vmc_assert(condition) do { } while (0)
#endif

/* Renamed in 6.16. */
#ifndef from_timer
#define from_timer timer_container_of
#endif

/* bind() and connect() of proto_ops and proto take this since 6.19. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
typedef struct sockaddr_unsized vmc_sockaddr;
#else
typedef struct sockaddr vmc_sockaddr;
#endif

/* More for SO_RXQ_OVFL to tell. UDP has its own counters since 6.18. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
#define vmc_drops_add(sk, nr) sk_drops_add(sk, nr)
#else
#define vmc_drops_add(sk, nr) atomic_add(nr, &(sk)->sk_drops)
#endif

/* Since 6.16 this can be memory of a device. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#define vmc_zerocopy_alloc(sk, bytes) \
	msg_zerocopy_realloc(sk, bytes, NULL, false)
#else
#define vmc_zerocopy_alloc(sk, bytes) msg_zerocopy_realloc(sk, bytes, NULL)
#endif

/* Since 7.1 the name's length is in the message alone. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 1, 0)
#define vmc_receive_error(sk, msg, bytes) inet_recv_error(sk, msg, bytes)
#else
#define vmc_receive_error(sk, msg, bytes) \
	inet_recv_error(sk, msg, bytes, &(msg)->msg_namelen)
#endif

/* Newer kernels have no poll_does_not_wait(). */
#define vmc_poll_waits(wait) ((wait) && (wait)->_qproc)

#endif /* VMC_COMPAT_H */
