// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmcircuit-keeper: runs the switch, starts it again when it dies, and keeps
 * its connections to the VMs meanwhile.
 *
 * QEMU cannot connect a device to its back-end a second time, so the
 * connections must outlive the switch's process. systemd can keep them (the
 * service's file descriptor store); where there is no systemd, this does. It
 * speaks with nobody but the switch and reads nothing that a VM wrote.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "child.h"
#include "store.h"

/* A program that dies so often, each time so soon, has no luck; give up. */
#define MAX_SHORT_LIVES 10
#define SHORT_LIFE_MS 300

/* Exit status of a program that was told wrong things: no use to repeat. */
#define STATUS_USAGE 2
#define STATUS_NOT_RUN 127

struct keeper {
	char *const *argv;
	struct vmc_store *store;
	int notify_fd;
	int signal_fd;
	char notify_path[64];
	pid_t pid;
	bool is_ending;
	bool is_restarting;
	int64_t born_ms;
	unsigned int nr_short_lives;	/* one after the other */
};

static void usage(FILE *to)
{
	fputs("usage: vmcircuit-keeper [--help] [--version] PROGRAM [ARGUMENT]…\n"
	      "\n"
	      "Runs PROGRAM, as a rule vmcircuitd, and starts it again when it dies. The\n"
	      "descriptors that it stores with sd_notify(3) FDSTORE=1 stay open and are\n"
	      "given to the next one, so that running VMs stay attached.\n"
	      "\n"
	      "SIGTERM and SIGINT end both, SIGHUP is passed on, SIGUSR1 ends PROGRAM and\n"
	      "starts it again, perhaps in a newer version. The exit status is that of\n"
	      "PROGRAM's last run.\n", to);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool keeper_gives_up(struct keeper *keeper)
{
	if (now_ms() - keeper->born_ms > SHORT_LIFE_MS)
		keeper->nr_short_lives = 0;
	else
		keeper->nr_short_lives++;
	return keeper->nr_short_lives >= MAX_SHORT_LIVES;
}

static int keeper_start(struct keeper *keeper)
{
	keeper->born_ms = now_ms();
	keeper->pid = vmc_child_start(keeper->argv, keeper->store,
				      keeper->notify_path);
	if (keeper->pid < 0) {
		fprintf(stderr, "vmcircuit-keeper: cannot fork: %s\n",
			strerror(-keeper->pid));
		return -1;
	}
	return 0;
}

static void keeper_drain(struct keeper *keeper)
{
	int ret;

	do {
		ret = vmc_store_receive(keeper->store, keeper->notify_fd,
					keeper->pid);
	} while (ret > 0);
}

/* The program ended. Return: the keeper's exit status, or -1 to go on. */
static int keeper_on_death(struct keeper *keeper, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) :
				       128 + WTERMSIG(status);

	/* What it stored just before it died counts, too. */
	keeper_drain(keeper);
	if (keeper->is_restarting && !keeper->is_ending) {
		keeper->is_restarting = false;
		return keeper_start(keeper) ? 1 : -1;
	}
	/* What never was ready is told wrong things, and will be again. */
	if (keeper->is_ending || !keeper->store->is_ready || code == 0 || code == STATUS_USAGE ||
	    code == STATUS_NOT_RUN)
		return code;
	if (WIFSIGNALED(status))
		fprintf(stderr, "vmcircuit-keeper: %s was killed by signal %d (%s), starting it again with %zu descriptors\n",
			keeper->argv[0], WTERMSIG(status),
			strsignal(WTERMSIG(status)), keeper->store->nr);
	else
		fprintf(stderr, "vmcircuit-keeper: %s ended with status %d, starting it again with %zu descriptors\n",
			keeper->argv[0], code, keeper->store->nr);
	if (keeper_gives_up(keeper)) {
		fprintf(stderr, "vmcircuit-keeper: %s lived %d times for no longer than %d ms, giving up\n",
			keeper->argv[0], MAX_SHORT_LIVES, SHORT_LIFE_MS);
		return code;
	}
	return keeper_start(keeper) ? 1 : -1;
}

/* Return: the keeper's exit status, or -1 to go on. */
static int keeper_on_signal(struct keeper *keeper)
{
	struct signalfd_siginfo info;
	int status;

	if (read(keeper->signal_fd, &info, sizeof(info)) != sizeof(info))
		return -1;
	if (info.ssi_signo == SIGCHLD) {
		if (waitpid(keeper->pid, &status, WNOHANG) != keeper->pid)
			return -1;
		return keeper_on_death(keeper, status);
	}
	if (info.ssi_signo == SIGUSR1) {
		keeper->is_restarting = true;
		info.ssi_signo = SIGTERM;
	} else if (info.ssi_signo != SIGHUP) {
		keeper->is_ending = true;
	}
	kill(keeper->pid, (int)info.ssi_signo);
	return -1;
}

static int keeper_run(struct keeper *keeper)
{
	struct pollfd fds[] = {
		{ .fd = keeper->notify_fd, .events = POLLIN },
		{ .fd = keeper->signal_fd, .events = POLLIN },
	};
	int code = -1;

	if (keeper_start(keeper))
		return 1;
	while (code < 0) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents)
			keeper_drain(keeper);
		if (fds[1].revents)
			code = keeper_on_signal(keeper);
	}
	return code;
}

static int keeper_open(struct keeper *keeper)
{
	struct rlimit limit;
	sigset_t signals;

	/* Many VMs are many descriptors. */
	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	keeper->store = calloc(1, sizeof(*keeper->store));
	if (!keeper->store)
		return -ENOMEM;
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &signals, NULL))
		return -errno;
	keeper->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (keeper->signal_fd < 0)
		return -errno;
	keeper->notify_fd = vmc_store_open_socket(keeper->notify_path,
						  sizeof(keeper->notify_path));
	return keeper->notify_fd < 0 ? keeper->notify_fd : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ }
	};
	struct keeper keeper = { };
	int option, err;

	while ((option = getopt_long(argc, argv, "+hV", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			puts("vmcircuit-keeper " VMC_VERSION);
			return 0;
		default:
			usage(stderr);
			return STATUS_USAGE;
		}
	}
	if (optind == argc) {
		fputs("vmcircuit-keeper: which program shall be kept? Try 'vmcircuit-keeper vmcircuitd --config FILE'.\n",
		      stderr);
		return STATUS_USAGE;
	}
	keeper.argv = argv + optind;
	err = keeper_open(&keeper);
	if (err) {
		fprintf(stderr, "vmcircuit-keeper: cannot start: %s\n",
			strerror(-err));
		return 1;
	}
	return keeper_run(&keeper);
}
