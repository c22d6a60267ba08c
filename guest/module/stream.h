/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_STREAM_H
#define VMC_STREAM_H

#include "sock.h"

/* Publish at least this often, so that both sides copy at the same time. */
#define VMC_CHUNK_BYTES (64U << 10)

int vmc_stream_send(struct socket *sock, struct msghdr *msg, size_t bytes);
int vmc_stream_receive(struct socket *sock, struct msghdr *msg, size_t bytes,
		       int flags);
int vmc_stream_fault_in(struct sock *sk, struct msghdr *msg, bool is_send);
void vmc_stream_splice_eof(struct socket *sock);
int vmc_stream_ioctl(struct sock *sk, int cmd, int *ret_value);
void vmc_stream_shutdown(struct sock *sk, int how);

#endif /* VMC_STREAM_H */
