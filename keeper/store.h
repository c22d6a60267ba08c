/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_KEEPER_STORE_H
#define VMC_KEEPER_STORE_H

#include <stdbool.h>
#include <stddef.h>

/* Descriptors kept at most; a VM of the switch needs about a dozen. */
#define VMC_STORE_MAX_FDS 8192

/* As systemd: a name has at most this many bytes. */
#define VMC_STORE_NAME_BYTES 256

/**
 * struct vmc_store - named file descriptors that outlive a process
 * @nr: how many
 * @fds: owned
 * @names: one for each, not unique
 * @is_ready: READY=1 came, ever
 */
struct vmc_store {
	size_t nr;
	int fds[VMC_STORE_MAX_FDS];
	char names[VMC_STORE_MAX_FDS][VMC_STORE_NAME_BYTES];
	bool is_ready;
};

int vmc_store_open_socket(char *path, size_t path_bytes);
int vmc_store_receive(struct vmc_store *store, int socket, int from_pid);
char *vmc_store_names(const struct vmc_store *store);

#endif /* VMC_KEEPER_STORE_H */
