// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The switch's name servers for the C library. Owns VMC_RESOLVER_FILE, and
 * /etc/resolv.conf while that is a link to it: a guest that has a file of its
 * own keeps it. Called by up and down.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "resolver.h"

#define DIRECTORY	"/run/vmcircuit"
#define NEW_FILE	VMC_RESOLVER_FILE ".new"
#define LIBC_FILE	"/etc/resolv.conf"

static int write_file(const struct vmc_module_address *resolvers,
		      unsigned int nr_resolvers, bool has_datagrams)
{
	char text[INET6_ADDRSTRLEN];
	FILE *file = fopen(NEW_FILE, "we");
	int failed;

	if (!file)
		return -errno;
	fputs("# Written by 'vmcircuit up': the switch's name servers.\n", file);
	for (unsigned int i = 0; i < nr_resolvers; i++) {
		inet_ntop(resolvers[i].family, resolvers[i].address, text,
			  sizeof(text));
		fprintf(file, "nameserver %s\n", text);
	}
	/* A switch that sends no datagrams to the outside is asked over TCP. */
	if (!has_datagrams)
		fputs("options use-vc\n", file);
	/* For everybody, whatever the caller's umask. */
	failed = ferror(file) || fchmod(fileno(file), 0644);
	if (fclose(file) || failed)
		return -EIO;
	return rename(NEW_FILE, VMC_RESOLVER_FILE) ? -errno : 0;
}

/**
 * vmc_resolver_write - let programs ask these name servers
 * @resolvers: whom to ask; prefixes do not matter
 * @nr_resolvers: how many, not 0
 * @has_datagrams: whether datagrams reach them
 *
 * Return: 0, or the errno of writing. A file /etc/resolv.conf that somebody
 * else made stays as it is.
 */
int vmc_resolver_write(const struct vmc_module_address *resolvers,
		       unsigned int nr_resolvers, bool has_datagrams)
{
	int error;

	if (!mkdir(DIRECTORY, 0755))
		chmod(DIRECTORY, 0755);
	else if (errno != EEXIST)
		return -errno;
	error = write_file(resolvers, nr_resolvers, has_datagrams);
	if (error)
		return error;
	if (symlink(VMC_RESOLVER_FILE, LIBC_FILE) && errno != EEXIST)
		return -errno;
	return 0;
}

/**
 * vmc_resolver_is_used - whether the C library reads the switch's name servers
 */
bool vmc_resolver_is_used(void)
{
	char target[sizeof(VMC_RESOLVER_FILE) + 1];
	ssize_t bytes = readlink(LIBC_FILE, target, sizeof(target));

	return bytes == sizeof(VMC_RESOLVER_FILE) - 1 &&
	       !memcmp(target, VMC_RESOLVER_FILE, (size_t)bytes);
}

/**
 * vmc_resolver_clear - undo vmc_resolver_write()
 *
 * Return: 0, also when there was nothing; or the errno of removing.
 */
int vmc_resolver_clear(void)
{
	if (vmc_resolver_is_used() && unlink(LIBC_FILE))
		return -errno;
	if (unlink(VMC_RESOLVER_FILE) && errno != ENOENT)
		return -errno;
	return 0;
}
