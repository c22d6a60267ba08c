/* SPDX-License-Identifier: MIT */
/*
 * libvmcircuit: work in place in the rings of a connected circuit socket. On
 * any other connected stream socket the same calls work on a private buffer
 * with send() and recv(), so a program written to it runs everywhere.
 *
 * Sizes are bytes, times are in the unit that their name says. Functions that
 * can fail return a negative errno. No call but vmc_wait() and vmc_flush()
 * blocks. One thread may send while another receives; nothing else may be
 * called on one connection by two threads at once.
 */
#ifndef VMCIRCUIT_H
#define VMCIRCUIT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vmc_connection;

/* What a connection turned out to be. */
enum vmc_kind {
	VMC_KIND_CIRCUIT,	/* rings that peer and program share: no copy */
	VMC_KIND_SOCKET,	/* any other stream socket, and a buffer */
};

/* For vmc_wait(). */
#define VMC_WAIT_DATA	1U	/* vmc_peek() would not say -EAGAIN */
#define VMC_WAIT_SPACE	2U	/* vmc_reserve() would not say -EAGAIN */

int vmc_attach(int fd, struct vmc_connection **ret_connection);
int vmc_detach(struct vmc_connection *connection);

enum vmc_kind vmc_kind(const struct vmc_connection *connection);
int vmc_fd(const struct vmc_connection *connection);
void vmc_set_spin(struct vmc_connection *connection, uint32_t limit_us);

ssize_t vmc_reserve(struct vmc_connection *connection, size_t bytes,
		    void **ret_span);
int vmc_commit(struct vmc_connection *connection, size_t bytes);
ssize_t vmc_peek(struct vmc_connection *connection, size_t bytes,
		 const void **ret_span);
int vmc_release(struct vmc_connection *connection, size_t bytes);

int vmc_wait(struct vmc_connection *connection, unsigned int what,
	     int timeout_ms);
int vmc_flush(struct vmc_connection *connection, int timeout_ms);
int vmc_shutdown(struct vmc_connection *connection);

#ifdef __cplusplus
}
#endif

#endif /* VMCIRCUIT_H */
