// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lets "up" and "down" happen one after the other. Owns the lock's file.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include "lock.h"

#define PATH	"/run/vmcircuit.lock"

/**
 * vmc_lock_take - wait for the lock; the end of the process gives it back
 *
 * Return: 0, or an errno: -EACCES when not root.
 */
int vmc_lock_take(void)
{
	int fd = open(PATH, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX)) {
		if (errno != EINTR) {
			int error = -errno;

			close(fd);
			return error;
		}
	}
	return 0;
}
