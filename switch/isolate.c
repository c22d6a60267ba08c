// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Takes from the process what it no longer needs once all sockets listen: the
 * user, capabilities, and system calls. Called by main.c, once.
 */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "switch/isolate.h"
#include "switch/log.h"

/* Each VM has a handful of descriptors; each link has two. */
#define WANTED_FILES	65536

/* What the loop does. Everything else is a fault, or somebody's code. */
static const int allowed_calls[] = {
	SCMP_SYS(accept4), SCMP_SYS(brk), SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(close), SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_wait), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(fallocate), SCMP_SYS(fcntl),
	SCMP_SYS(fchmod), SCMP_SYS(fstat), SCMP_SYS(ftruncate), SCMP_SYS(futex),
	SCMP_SYS(getpid), SCMP_SYS(getrandom), SCMP_SYS(gettid),
	SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register),
	SCMP_SYS(lseek), SCMP_SYS(pwrite64),
	SCMP_SYS(madvise), SCMP_SYS(memfd_create), SCMP_SYS(mmap),
	SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(munmap),
	SCMP_SYS(newfstatat), SCMP_SYS(poll), SCMP_SYS(pread64),
	SCMP_SYS(read),
	SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sched_yield), SCMP_SYS(sendmsg),
	SCMP_SYS(sendto), SCMP_SYS(tgkill), SCMP_SYS(timerfd_settime),
	SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(write),
	SCMP_SYS(writev),
	/* sd_notify() makes a socket for each message, with credentials. */
	SCMP_SYS(connect), SCMP_SYS(getegid), SCMP_SYS(geteuid),
	SCMP_SYS(getgid), SCMP_SYS(getsockopt), SCMP_SYS(getuid),
	SCMP_SYS(setsockopt), SCMP_SYS(socket), SCMP_SYS(socketpair),
	/* The uplink. */
	SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(shutdown),
};

/* How files are opened: for reading only. */
#define OPEN_FLAGS	(O_RDONLY | O_CLOEXEC | O_NONBLOCK)

/**
 * vmc_isolate_raise_limits - allow as many descriptors as the system does
 *
 * Before the privileges are gone. A lower limit than wanted is no error.
 */
void vmc_isolate_raise_limits(void)
{
	const struct rlimit wanted = { WANTED_FILES, WANTED_FILES };
	const struct rlimit locked = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit limit;

	setrlimit(RLIMIT_MEMLOCK, &locked);
	if (!setrlimit(RLIMIT_NOFILE, &wanted) ||
	    getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/*
 * A routed VM listens at its own ports on the host, later and below 1024, too,
 * and dials from them.
 */
static bool needs_low_ports(const struct vmc_config *config)
{
	unsigned int i;

	for (i = 0; config->uplink.is_enabled && i < config->nr_vms; i++) {
		if (config->vms[i].source == VMC_SOURCE_ROUTED)
			return true;
	}
	return false;
}

/* All capabilities but the one that is needed, if the process has it. */
static void choose_capabilities(const struct vmc_config *config)
{
	bool is_kept = needs_low_ports(config) && !capng_get_caps_process() &&
		       capng_have_capability(CAPNG_PERMITTED,
					     CAP_NET_BIND_SERVICE);

	capng_clear(CAPNG_SELECT_BOTH);
	if (is_kept)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED,
			     CAP_NET_BIND_SERVICE);
}

static int drop_privileges(const struct vmc_config *config)
{
	struct passwd *entry = NULL;

	choose_capabilities(config);
	if (*config->user && !geteuid()) {
		entry = getpwnam(config->user);
		if (!entry)
			return -ENOENT;
		if (capng_change_id((int)entry->pw_uid, (int)entry->pw_gid,
				    CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING))
			return -EPERM;
		return 0;
	}
	/* An ordinary user has none to drop and may not touch the bounds. */
	if (capng_apply(geteuid() ? CAPNG_SELECT_CAPS : CAPNG_SELECT_BOTH))
		return -EPERM;
	return 0;
}

/* The number of the call that was refused, before the process ends. */
static void report_violation(int signal, siginfo_t *info, void *context)
{
	static const char prefix[] = "vmcircuitd: error: forbidden system call ";
	char text[sizeof(prefix) + 16];
	unsigned int call = (unsigned int)info->si_syscall;
	char *end = text + sizeof(text);
	char *at = end;
	ssize_t done;

	(void)signal;
	(void)context;
	*--at = '\n';
	do {
		*--at = (char)('0' + call % 10);
		call /= 10;
	} while (call);
	done = write(2, prefix, sizeof(prefix) - 1);
	done = write(2, at, (size_t)(end - at));
	(void)done;
	_exit(1);
}

/*
 * What reading the configuration again takes, or a process that is to read a
 * segment: an open() with no flag but these, so that nothing is created, cut
 * or written; and the configuration's parser wonders whether the file is a
 * terminal.
 */
static int allow_reading(scmp_filter_ctx filter)
{
	int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat),
				     1, SCMP_A2(SCMP_CMP_MASKED_EQ,
						(uint32_t)~OPEN_FLAGS, 0));

	if (error)
		return error;
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				SCMP_A1(SCMP_CMP_EQ, TCGETS));
}

static int filter_calls(void)
{
	struct sigaction action = {
		.sa_sigaction = report_violation,
		.sa_flags = SA_SIGINFO,
	};
	scmp_filter_ctx filter;
	size_t i;
	int error;

	sigaction(SIGSYS, &action, NULL);
	filter = seccomp_init(SCMP_ACT_TRAP);
	if (!filter)
		return -ENOMEM;
	for (i = 0; i < sizeof(allowed_calls) / sizeof(allowed_calls[0]); i++) {
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW,
					 allowed_calls[i], 0);
		if (error)
			goto release_filter;
	}
	error = allow_reading(filter);
	if (error)
		goto release_filter;
	error = seccomp_load(filter);
release_filter:
	seccomp_release(filter);
	return error;
}

/**
 * vmc_isolate - drop what is not needed any more
 * @config: user and sandbox
 *
 * Return: 0, or -errno; what failed is logged.
 */
int vmc_isolate(const struct vmc_config *config)
{
	int error;

	error = drop_privileges(config);
	if (error) {
		vmc_log(VMC_LOG_ERROR, "cannot drop privileges%s%s",
			*config->user ? " to user " : "", config->user);
		return error;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	if (!config->is_sandboxed)
		return 0;
	error = filter_calls();
	if (error)
		vmc_log(VMC_LOG_ERROR, "cannot filter system calls: %s",
			strerror(-error));
	return error;
}
