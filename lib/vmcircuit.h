/* SPDX-License-Identifier: MIT */
/*
 * libvmcircuit: work in place in the rings of circuits.
 *
 * In a guest, attach to any connected socket; on one that is no circuit the
 * same calls work on a private buffer with send() and recv(), so a program
 * written to it runs everywhere. On the host, become an endpoint: dial guests
 * and other processes, or listen, under an address of the switch's networks.
 *
 * Sizes are bytes, times are in the unit that their name says. Functions that
 * can fail return a negative errno. One thread may send on a connection while
 * another receives; nothing else may be called on one connection, or on one
 * endpoint and its listeners, by two threads at once.
 */
#ifndef VMCIRCUIT_H
#define VMCIRCUIT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vmc_connection;
struct vmc_endpoint;
struct vmc_listener;

/* What a connection turned out to be. */
enum vmc_kind {
	VMC_KIND_CIRCUIT,	/* rings that peer and program share: no copy */
	VMC_KIND_SOCKET,	/* any other stream socket, and a buffer */
};

/* For vmc_wait(). */
#define VMC_WAIT_DATA	1U	/* vmc_peek() would not say -EAGAIN */
#define VMC_WAIT_SPACE	2U	/* vmc_reserve() would not say -EAGAIN */

int vmc_endpoint_open(const char *path, struct vmc_endpoint **ret_endpoint);
int vmc_endpoint_close(struct vmc_endpoint *endpoint);
int vmc_endpoint_fd(const struct vmc_endpoint *endpoint);
int vmc_dial(struct vmc_endpoint *endpoint, const struct sockaddr *remote,
	     socklen_t bytes, int timeout_ms,
	     struct vmc_connection **ret_connection);
int vmc_listen(struct vmc_endpoint *endpoint, const struct sockaddr *local,
	       socklen_t bytes, struct vmc_listener **ret_listener);
int vmc_accept(struct vmc_listener *listener, int timeout_ms,
	       struct sockaddr_storage *ret_remote,
	       struct vmc_connection **ret_connection);
void vmc_unlisten(struct vmc_listener *listener);

int vmc_attach(int fd, struct vmc_connection **ret_connection);
int vmc_detach(struct vmc_connection *connection);

enum vmc_kind vmc_kind(const struct vmc_connection *connection);
int vmc_fd(struct vmc_connection *connection);
short vmc_events(const struct vmc_connection *connection, unsigned int what);
void vmc_set_spin(struct vmc_connection *connection, uint32_t limit_us);

ssize_t vmc_reserve(struct vmc_connection *connection, size_t bytes,
		    void **ret_span);
int vmc_commit(struct vmc_connection *connection, size_t bytes);
ssize_t vmc_peek(struct vmc_connection *connection, size_t bytes,
		 const void **ret_span);
int vmc_release(struct vmc_connection *connection, size_t bytes);

ssize_t vmc_send(struct vmc_connection *connection, const void *data,
		 size_t bytes, int timeout_ms);
ssize_t vmc_recv(struct vmc_connection *connection, void *room, size_t bytes,
		 int timeout_ms);

int vmc_wait(struct vmc_connection *connection, unsigned int what,
	     int timeout_ms);
int vmc_flush(struct vmc_connection *connection, int timeout_ms);
int vmc_shutdown(struct vmc_connection *connection);

#ifdef __cplusplus
}
#endif

#endif /* VMCIRCUIT_H */
