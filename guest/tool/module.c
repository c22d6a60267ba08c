// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel module: loading, unloading, and what it says of itself in
 * /proc/net/vmcircuit. Prints nothing; the commands find the words.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "module.h"

#define PROC_STATUS	"/proc/net/vmcircuit/status"
#define PROC_STATS	"/proc/net/vmcircuit/stats"
#define SYS_MODULE	"/sys/module/vmcircuit"
#define POLL_MS		10

static const char * const state_names[] = {
	[VMC_MODULE_ABSENT]	= "absent",
	[VMC_MODULE_WAITING]	= "waiting",
	[VMC_MODULE_ATTACHED]	= "attached",
	[VMC_MODULE_LOST]	= "lost",
};

/**
 * vmc_module_state_name - the module's word for a state
 * @state: a valid state
 */
const char *vmc_module_state_name(enum vmc_module_state state)
{
	return state_names[state];
}

/* Runs modprobe, which knows aliases, options and black lists. */
static int run_modprobe(void)
{
	char *argv[] = { "modprobe", "-q", "vmcircuit", NULL };
	char *envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	int status, error;
	pid_t pid;

	error = posix_spawn(&pid, "/sbin/modprobe", NULL, NULL, argv, envp);
	if (error)
		return -error;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ENOENT;
}

/* Loads the file that is installed, but that depmod has not seen yet. */
static int load_file(void)
{
	struct utsname kernel;
	char path[256];
	int fd, error = 0;

	if (uname(&kernel))
		return -errno;
	snprintf(path, sizeof(path), "/usr/lib/modules/%s/updates/vmcircuit.ko",
		 kernel.release);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST)
		error = -errno;
	close(fd);
	return error;
}

/**
 * vmc_module_load - load the module unless it is loaded
 * @ret_loaded_now: whether this call loaded it
 *
 * Return: 0; -ENOENT: there is no module for this kernel; -EPERM; another
 * errno of finit_module(2).
 */
int vmc_module_load(bool *ret_loaded_now)
{
	int error;

	*ret_loaded_now = false;
	if (!access(SYS_MODULE, F_OK))
		return 0;
	error = run_modprobe();
	if (error)
		error = load_file();
	if (!error)
		*ret_loaded_now = true;
	return error;
}

/**
 * vmc_module_unload - unload the module
 *
 * Return: 0, also when it is not loaded; -EBUSY: it has sockets; -EPERM.
 */
int vmc_module_unload(void)
{
	if (!syscall(SYS_delete_module, "vmcircuit", O_NONBLOCK) ||
	    errno == ENOENT)
		return 0;
	return errno == EAGAIN ? -EBUSY : -errno;
}

/* Parses "10.77.0.1/24"; what it cannot parse it ignores. */
static bool parse_address(char *text, struct vmc_module_address *ret_address)
{
	struct vmc_module_address address = { 0 };
	char *slash = strchr(text, '/'), *end;
	unsigned long prefix;

	if (!slash)
		return false;
	*slash = 0;
	address.family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(address.family, text, address.address) != 1)
		return false;
	prefix = strtoul(slash + 1, &end, 10);
	if (*end || end == slash + 1 ||
	    prefix > (address.family == AF_INET ? 32 : 128))
		return false;
	address.prefix = (uint8_t)prefix;
	*ret_address = address;
	return true;
}

static void parse_status_line(char *line, struct vmc_module_status *status)
{
	char *value = strchr(line, ' ');

	if (!value)
		return;
	*value++ = 0;
	if (!strcmp(line, "state")) {
		for (int i = 0; i <= VMC_MODULE_LOST; i++) {
			if (!strcmp(value, state_names[i]))
				status->state = (enum vmc_module_state)i;
		}
	} else if (!strcmp(line, "name")) {
		snprintf(status->name, sizeof(status->name), "%s", value);
	} else if (!strcmp(line, "epoch")) {
		snprintf(status->epoch, sizeof(status->epoch), "%s", value);
	} else if (!strcmp(line, "address") &&
		   status->nr_addresses < VMC_MAX_ADDRESSES &&
		   parse_address(value,
				 &status->addresses[status->nr_addresses])) {
		status->nr_addresses++;
	} else if (!strcmp(line, "uplink")) {
		status->has_uplink = !strcmp(value, "yes");
	} else if (!strcmp(line, "uplink_datagrams")) {
		status->has_uplink_datagrams = !strcmp(value, "yes");
	} else if (!strcmp(line, "resolver") &&
		   status->nr_resolvers < VMC_MAX_RESOLVERS &&
		   parse_address(value,
				 &status->resolvers[status->nr_resolvers])) {
		status->nr_resolvers++;
	}
}

/**
 * vmc_module_read_status - what the module says of itself
 * @ret_status: the answer; "absent" when the module is not loaded
 *
 * Return: 0, or the errno of reading; -ENONET: the module is loaded but this
 * network namespace is not the one that it serves.
 */
int vmc_module_read_status(struct vmc_module_status *ret_status)
{
	struct vmc_module_status status = { .state = VMC_MODULE_ABSENT };
	char line[256];
	FILE *file;

	status.loaded = !access(SYS_MODULE, F_OK);
	file = fopen(PROC_STATUS, "re");
	if (!file) {
		if (errno != ENOENT)
			return -errno;
		if (status.loaded)
			return -ENONET;
		*ret_status = status;
		return 0;
	}
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		parse_status_line(line, &status);
	}
	fclose(file);
	*ret_status = status;
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/**
 * vmc_module_wait - wait until the module is attached to a switch
 * @timeout_ms: for how long; 0: one look
 * @ret_status: the last status read, set also on -ETIMEDOUT
 *
 * Return: 0, -ETIMEDOUT, or an errno of vmc_module_read_status().
 */
int vmc_module_wait(unsigned int timeout_ms,
		    struct vmc_module_status *ret_status)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	uint64_t end = now_ms() + timeout_ms;

	for (;;) {
		int error = vmc_module_read_status(ret_status);

		if (error || ret_status->state == VMC_MODULE_ATTACHED)
			return error;
		if (now_ms() >= end)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
}

/**
 * vmc_module_read_counters - the module's counters, in its order
 * @ret_counters: room for VMC_MAX_COUNTERS
 *
 * Return: how many, 0 when the module is not loaded; or -errno.
 */
int vmc_module_read_counters(struct vmc_counter *ret_counters)
{
	unsigned long long value;
	char line[256];
	FILE *file;
	int nr = 0;

	file = fopen(PROC_STATS, "re");
	if (!file)
		return errno == ENOENT ? 0 : -errno;
	while (nr < VMC_MAX_COUNTERS && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%47s %llu", ret_counters[nr].name,
			   &value) == 2)
			ret_counters[nr++].value = value;
	}
	fclose(file);
	return nr;
}
