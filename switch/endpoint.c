// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An endpoint's socket: takes in the host processes that the configuration
 * permits and gives each a seat. Owns the socket. Called by broker.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "switch/endpoint.h"
#include "switch/process.h"

static bool has(const uint32_t *ids, unsigned int nr, uint32_t id)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (ids[i] == id)
			return true;
	}
	return false;
}

/* Whether the process has a supplementary group that may come. */
static bool has_group(const struct vmc_config_access *access, int fd)
{
	socklen_t bytes = 0;
	gid_t *groups;
	bool is_in = false;
	size_t i;

	if (!access->nr_groups)
		return false;
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &bytes) ||
	    errno != ERANGE)
		return false;
	groups = malloc(bytes);
	if (groups &&
	    !getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes)) {
		for (i = 0; i < bytes / sizeof(gid_t) && !is_in; i++)
			is_in = has(access->groups, access->nr_groups,
				    groups[i]);
	}
	free(groups);
	return is_in;
}

static bool may_come(const struct vmc_config_access *access, int fd,
		     const struct ucred *who)
{
	return has(access->users, access->nr_users, who->uid) ||
	       has(access->groups, access->nr_groups, who->gid) ||
	       has_group(access, fd);
}

/* Whether its process is gone; the event may come after the newcomer's. */
static bool is_left(const struct vmc_vm *seat)
{
	struct pollfd poll_fd = { .fd = seat->process.fd };

	return seat->is_doomed ||
	       (poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLHUP));
}

static struct vmc_vm *free_seat(struct vmc_endpoint *endpoint)
{
	struct vmc_vm *seat = endpoint->seats;
	struct vmc_vm *end = seat + endpoint->config->access.max_processes;

	for (; seat < end; seat++) {
		if (seat->process.fd < 0)
			return seat;
	}
	for (seat = endpoint->seats; seat < end; seat++) {
		if (!is_left(seat))
			continue;
		vmc_vm_disconnect(seat);
		return seat;
	}
	return NULL;
}

/* Who is turned away reads ECONNRESET or the end; the log says why. */
static void take_in(struct vmc_endpoint *endpoint, int fd)
{
	const char *name = endpoint->config->name;
	socklen_t bytes = sizeof(struct ucred);
	struct vmc_vm *seat;
	struct ucred who;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes))
		goto close_fd;
	if (!may_come(&endpoint->config->access, fd, &who)) {
		vmc_log_limited(&endpoint->log_limit, VMC_LOG_WARNING,
				"endpoint \"%s\": process %d of user %u is turned away: it is not in users or groups",
				name, who.pid, who.uid);
		goto close_fd;
	}
	seat = free_seat(endpoint);
	if (!seat) {
		vmc_log_limited(&endpoint->log_limit, VMC_LOG_WARNING,
				"endpoint \"%s\": process %d is turned away: there are %u already (max_processes)",
				name, who.pid,
				endpoint->config->access.max_processes);
		goto close_fd;
	}
	if (!vmc_process_connect(seat, fd, who.pid))
		return;
close_fd:
	close(fd);
}

static void listener_ready(struct vmc_watch *watch, uint32_t events)
{
	struct vmc_endpoint *endpoint =
		vmc_container_of(watch, struct vmc_endpoint, listener);
	int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0)
		take_in(endpoint, fd);
}

/**
 * vmc_endpoint_listen - make an endpoint's socket
 * @endpoint: overwritten
 * @config: what the file says of it; outlives the endpoint
 * @loop: watches the socket
 * @seats: as many as the endpoint's max_processes, initialised for processes
 *
 * Anybody may connect; who may stay is decided by who it is.
 *
 * Return: 0, or the error of the socket.
 */
int vmc_endpoint_listen(struct vmc_endpoint *endpoint,
			const struct vmc_config_vm *config,
			struct vmc_loop *loop, struct vmc_vm *seats)
{
	const struct vmc_socket_rights rights = {
		.owner = (uid_t)-1,
		.group = (gid_t)-1,
		.mode = 0666,
	};
	int error;

	endpoint->config = config;
	endpoint->loop = loop;
	endpoint->seats = seats;
	endpoint->listener = (struct vmc_watch){ -1, listener_ready };
	error = vmc_unix_socket_listen(config->socket, SOCK_SEQPACKET, &rights,
				       &endpoint->listener.fd);
	if (error)
		return error;
	error = vmc_loop_add(loop, &endpoint->listener, EPOLLIN);
	if (error)
		vmc_endpoint_unlisten(endpoint);
	return error;
}

/**
 * vmc_endpoint_unlisten - remove an endpoint's socket
 * @endpoint: listening, or all zero
 */
void vmc_endpoint_unlisten(struct vmc_endpoint *endpoint)
{
	if (!endpoint->loop || endpoint->listener.fd < 0)
		return;
	unlink(endpoint->config->socket);
	vmc_loop_close(endpoint->loop, &endpoint->listener);
}
