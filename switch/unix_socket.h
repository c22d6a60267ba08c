/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_UNIX_SOCKET_H
#define VMC_SWITCH_UNIX_SOCKET_H

#include <sys/types.h>

/* Who may connect to a socket in the file system. -1: as created. */
struct vmc_socket_rights {
	uid_t owner;
	gid_t group;
	mode_t mode;
};

int vmc_unix_socket_listen(const char *path, int type,
			   const struct vmc_socket_rights *rights,
			   int *ret_fd);

#endif /* VMC_SWITCH_UNIX_SOCKET_H */
