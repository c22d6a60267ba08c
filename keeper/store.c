// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file descriptor store: what sd_notify(3) calls FDSTORE. Owns the
 * descriptors and understands FDSTORE=1, FDSTOREREMOVE=1, FDNAME= and READY=1
 * from one process; everything else that sd_notify() may say is not for us.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "store.h"

/* One message: systemd takes as many descriptors at once. */
#define MAX_FDS_PER_MESSAGE 253
#define MESSAGE_BYTES 4096

/**
 * vmc_store_open_socket - where the child sends its notifications
 * @path: what NOTIFY_SOCKET shall say; an abstract address
 * @path_bytes: room there
 *
 * Return: a datagram socket that tells its senders' pids, or -errno.
 */
int vmc_store_open_socket(char *path, size_t path_bytes)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, one = 1, n;

	n = snprintf(path, path_bytes, "@vmcircuit-keeper-%d", (int)getpid());
	if (n < 0 || (size_t)n >= path_bytes || (size_t)n >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	memcpy(addr.sun_path, path, n);
	addr.sun_path[0] = '\0';
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&addr,
		 offsetof(struct sockaddr_un, sun_path) + n)) {
		n = -errno;
		close(fd);
		return n;
	}
	return fd;
}

static bool name_is_valid(const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++)
		if (name[i] <= ' ' || name[i] == ':' || name[i] == 127)
			return false;
	return i && i < VMC_STORE_NAME_BYTES;
}

static void store_add(struct vmc_store *store, const char *name, int fd)
{
	if (store->nr == VMC_STORE_MAX_FDS) {
		fprintf(stderr, "vmcircuit-keeper: more than %d descriptors, \"%s\" is not kept\n",
			VMC_STORE_MAX_FDS, name);
		close(fd);
		return;
	}
	store->fds[store->nr] = fd;
	strcpy(store->names[store->nr], name);
	store->nr++;
}

static void store_remove(struct vmc_store *store, const char *name)
{
	size_t i = 0;

	while (i < store->nr) {
		if (strcmp(store->names[i], name)) {
			i++;
			continue;
		}
		close(store->fds[i]);
		store->nr--;
		store->fds[i] = store->fds[store->nr];
		strcpy(store->names[i], store->names[store->nr]);
	}
}

/* Takes the descriptors over, whatever the text says. */
static void store_obey(struct vmc_store *store, char *text, const int *fds,
		       size_t nr_fds)
{
	bool is_add = false, is_remove = false;
	const char *name = "stored";
	char *line, *rest;
	size_t i;

	for (line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		if (!strcmp(line, "READY=1"))
			store->is_ready = true;
		else if (!strcmp(line, "FDSTORE=1"))
			is_add = true;
		else if (!strcmp(line, "FDSTOREREMOVE=1"))
			is_remove = true;
		else if (!strncmp(line, "FDNAME=", 7))
			name = line + 7;
	}
	if (!name_is_valid(name))
		is_add = is_remove = false;
	if (is_remove)
		store_remove(store, name);
	for (i = 0; i < nr_fds; i++) {
		if (is_add)
			store_add(store, name, fds[i]);
		else
			close(fds[i]);
	}
}

/**
 * vmc_store_receive - take one notification, if there is one
 * @store: changed by it
 * @socket: from vmc_store_open_socket()
 * @from_pid: whose word counts; others are ignored
 *
 * Return: 1 if there was one, 0 if not, -errno.
 */
int vmc_store_receive(struct vmc_store *store, int socket, int from_pid)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred)) +
			   CMSG_SPACE(sizeof(int) * MAX_FDS_PER_MESSAGE)];
		struct cmsghdr align;
	} control;
	char text[MESSAGE_BYTES + 1];
	struct iovec iov = { text, MESSAGE_BYTES };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int fds[MAX_FDS_PER_MESSAGE], pid = 0;
	size_t nr_fds = 0, bytes;
	struct cmsghdr *cmsg;
	struct ucred cred;
	ssize_t n;

	n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET)
			continue;
		bytes = cmsg->cmsg_len - CMSG_LEN(0);
		if (cmsg->cmsg_type == SCM_RIGHTS) {
			memcpy(fds, CMSG_DATA(cmsg), bytes);
			nr_fds = bytes / sizeof(int);
		} else if (cmsg->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&cred, CMSG_DATA(cmsg), sizeof(cred));
			pid = cred.pid;
		}
	}
	text[pid == from_pid ? n : 0] = '\0';
	store_obey(store, text, fds, nr_fds);
	return 1;
}

/**
 * vmc_store_names - the value of LISTEN_FDNAMES
 * @store: in the order of its descriptors
 *
 * Return: names with colons between them, which the caller frees; NULL without
 * memory.
 */
char *vmc_store_names(const struct vmc_store *store)
{
	size_t i, bytes = 1;
	char *names, *at;

	for (i = 0; i < store->nr; i++)
		bytes += strlen(store->names[i]) + 1;
	names = malloc(bytes);
	if (!names)
		return NULL;
	at = names;
	*at = '\0';
	for (i = 0; i < store->nr; i++)
		at += sprintf(at, "%s%s", i ? ":" : "", store->names[i]);
	return names;
}
