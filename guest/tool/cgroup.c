// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Control groups, version 2: finding one by name, and the short-lived ones of
 * "vmcircuit run", made below the caller's own so that its limits still hold.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "cgroup.h"

/* Where systemd mounts the hierarchy: alone, or beside version 1. */
static const char * const mounts[] = {
	"/sys/fs/cgroup", "/sys/fs/cgroup/unified",
};

static int is_cgroup2(const char *path)
{
	struct statfs file_system;

	return !statfs(path, &file_system) &&
	       file_system.f_type == CGROUP2_SUPER_MAGIC;
}

static const char *find_mount(void)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		if (is_cgroup2(mounts[i]))
			return mounts[i];
	}
	return NULL;
}

/**
 * vmc_cgroup_find - the directory of a cgroup
 * @path: of the directory itself, or as in /proc/PID/cgroup
 * @ret_path: the canonical path
 * @path_bytes: its room
 *
 * Return: 0; -ENOENT: no such cgroup; -EMEDIUMTYPE: it is not of version 2;
 * -ENAMETOOLONG.
 */
int vmc_cgroup_find(const char *path, char *ret_path, size_t path_bytes)
{
	const char *mount = find_mount();
	char joined[PATH_MAX], *real = NULL;
	int error = 0;

	if (path[0] == '/')
		real = realpath(path, NULL);
	if ((!real || !is_cgroup2(real)) && mount) {
		char *below;

		snprintf(joined, sizeof(joined), "%s/%s", mount, path);
		below = realpath(joined, NULL);
		if (below) {
			free(real);
			real = below;
		}
	}
	if (!real)
		return -ENOENT;
	if (!is_cgroup2(real))
		error = -EMEDIUMTYPE;
	else if (strlen(real) >= path_bytes)
		error = -ENAMETOOLONG;
	else
		strcpy(ret_path, real);
	free(real);
	return error;
}

/* The caller's own cgroup: the line "0::/path" of /proc/self/cgroup. */
static int find_own(char *ret_path, size_t path_bytes)
{
	const char *mount = find_mount();
	char line[PATH_MAX];
	int error = -ENOENT;
	FILE *file;

	if (!mount)
		return -ENOENT;
	file = fopen("/proc/self/cgroup", "re");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		int bytes;

		if (strncmp(line, "0::/", 4))
			continue;
		line[strcspn(line, "\n")] = 0;
		bytes = snprintf(ret_path, path_bytes, "%s%s", mount,
				 line[4] ? line + 3 : "");
		error = (size_t)bytes < path_bytes ? 0 : -ENAMETOOLONG;
	}
	fclose(file);
	return error;
}

/**
 * vmc_cgroup_make - make an empty cgroup below the caller's own
 * @ret_path: its directory; remove it with vmc_cgroup_remove()
 * @path_bytes: room for the path
 *
 * Return: 0; -ENOENT: this system has no cgroup v2; another errno of mkdir(2).
 */
int vmc_cgroup_make(char *ret_path, size_t path_bytes)
{
	char own[PATH_MAX];
	int error, bytes;

	error = find_own(own, sizeof(own));
	if (error)
		return error;
	bytes = snprintf(ret_path, path_bytes, "%s/vmcircuit.run-%d", own,
			 getpid());
	if ((size_t)bytes >= path_bytes)
		return -ENAMETOOLONG;
	/* A left-over of a dead process of the same number is as good. */
	if (mkdir(ret_path, 0755) && errno != EEXIST)
		return -errno;
	return 0;
}

static int write_pid(const char *cgroup, const char *pid)
{
	char path[PATH_MAX];
	int fd, error = 0;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, pid, strlen(pid)) < 0)
		error = -errno;
	close(fd);
	return error;
}

/**
 * vmc_cgroup_enter - move the calling process into a cgroup
 * @path: the cgroup's directory
 *
 * Return: 0 or an errno of writing to cgroup.procs.
 */
int vmc_cgroup_enter(const char *path)
{
	return write_pid(path, "0");
}

/* Moves the processes of a cgroup to its parent. */
static void evict(const char *path)
{
	char parent[PATH_MAX], procs[PATH_MAX], pid[32];
	FILE *file;

	snprintf(parent, sizeof(parent), "%s", path);
	*strrchr(parent, '/') = 0;
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	file = fopen(procs, "re");
	if (!file)
		return;
	while (fgets(pid, sizeof(pid), file))
		write_pid(parent, pid);
	fclose(file);
}

/**
 * vmc_cgroup_remove - remove a cgroup of vmc_cgroup_make()
 * @path: its directory
 *
 * Processes that the command left behind go on in the parent cgroup.
 */
void vmc_cgroup_remove(const char *path)
{
	/* A process may fork while the list is read: look again. */
	for (int tries = 0; tries < 10; tries++) {
		if (!rmdir(path) || errno != EBUSY)
			return;
		evict(path);
	}
}
