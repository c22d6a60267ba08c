// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Starting the kept program, with the stored descriptors where
 * sd_listen_fds(3) looks for them. Called by main.c only.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "child.h"
#include "store.h"

/* The first of the descriptors that sd_listen_fds() tells of. */
#define FIRST_FD 3

/* Put the stored descriptors at FIRST_FD and on; all others go with exec. */
static int child_place_fds(const struct vmc_store *store)
{
	int copies[VMC_STORE_MAX_FDS];
	size_t i;

	/* First out of the way, so that none overwrites another. */
	for (i = 0; i < store->nr; i++) {
		copies[i] = fcntl(store->fds[i], F_DUPFD_CLOEXEC,
				  FIRST_FD + (int)store->nr);
		if (copies[i] < 0)
			return -errno;
	}
	for (i = 0; i < store->nr; i++)
		if (dup2(copies[i], FIRST_FD + (int)i) < 0)
			return -errno;
	return 0;
}

static int child_set_environment(const struct vmc_store *store,
				 const char *notify_path)
{
	char number[32];
	char *names;

	if (setenv("NOTIFY_SOCKET", notify_path, 1))
		return -errno;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (!store->nr)
		return 0;
	names = vmc_store_names(store);
	if (!names)
		return -ENOMEM;
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%zu", store->nr);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
	free(names);
	return 0;
}

/**
 * vmc_child_start - start the kept program
 * @argv: its arguments, ended by NULL
 * @store: passed to it, and kept here as well
 * @notify_path: for its NOTIFY_SOCKET
 *
 * It gets SIGTERM when the keeper dies: without a keeper the next start could
 * not take its VMs over, and it shall not look as if it could.
 *
 * Return: its pid, or -errno if it could not be forked. If the program cannot
 * be run, it ends with status 127 and has said why.
 */
pid_t vmc_child_start(char *const argv[], const struct vmc_store *store,
		      const char *notify_path)
{
	pid_t parent = getpid(), pid = fork();
	sigset_t none;
	int err;

	if (pid < 0)
		return -errno;
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	err = child_set_environment(store, notify_path);
	if (!err)
		err = child_place_fds(store);
	if (err) {
		fprintf(stderr, "vmcircuit-keeper: cannot hand descriptors over: %s\n",
			strerror(-err));
		_exit(127);
	}
	execvp(argv[0], argv);
	fprintf(stderr, "vmcircuit-keeper: cannot run %s: %s\n", argv[0],
		strerror(errno));
	_exit(127);
}
