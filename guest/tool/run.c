// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmcircuit run: one command with circuits. The command lives in a cgroup of
 * its own, with a redirect for that cgroup which this process holds open: it
 * ends with this process, even with SIGKILL. Where that cannot be had, the
 * LD_PRELOAD shim does what it can.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cgroup.h"
#include "commands.h"
#include "loader.h"
#include "module.h"
#include "report.h"

#define SHIM		"/usr/lib/vmcircuit/preload.so"

/* What a shell answers for a command that cannot be run or is not there. */
#define EXIT_CANNOT_RUN	126
#define EXIT_NOT_FOUND	127

static int report_exec_failure(const char *name)
{
	int error = errno;

	vmc_report_failure("cannot run '%s': %s", name, strerror(error));
	return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

static int run_with_shim(char **argv)
{
	const char *others = getenv("LD_PRELOAD");
	char value[4096];

	if (access(SHIM, R_OK))
		return vmc_report_failure("%s: %s; install it, or run as root on a kernel that can redirect",
					  SHIM, strerror(errno));
	snprintf(value, sizeof(value), "%s%s%s", SHIM, others ? ":" : "",
		 others ? others : "");
	setenv("LD_PRELOAD", value, 1);
	execvp(argv[0], argv);
	return report_exec_failure(argv[0]);
}

/* In the child: the cgroup first, then the command. */
static void start_command(const char *cgroup, const sigset_t *mask, char **argv)
{
	int error = vmc_cgroup_enter(cgroup);

	if (error) {
		vmc_report_failure("cannot enter the cgroup %s: %s", cgroup,
				   strerror(-error));
		_exit(VMC_EXIT_FAILURE);
	}
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(argv[0], argv);
	_exit(report_exec_failure(argv[0]));
}

/* Looks after the child. Return: whether it ended, with its wait status. */
static bool child_ended(pid_t child, int *ret_status)
{
	pid_t pid;

	do {
		pid = waitpid(child, ret_status, WNOHANG | WUNTRACED);
	} while (pid < 0 && errno == EINTR);
	if (pid != child)
		return false;
	if (!WIFSTOPPED(*ret_status))
		return true;
	/* Stop like the command, so that the shell sees it; go on like it. */
	raise(SIGSTOP);
	kill(child, SIGCONT);
	return false;
}

/* Waits for the child; passes on what signals others send to this process. */
static int wait_for(pid_t child, const sigset_t *signals)
{
	siginfo_t info;
	int status;

	for (;;) {
		int number = sigwaitinfo(signals, &info);

		if (number < 0)
			continue;
		if (number == SIGCHLD) {
			if (child_ended(child, &status))
				return status;
		} else if (info.si_code != SI_KERNEL) {
			/* A terminal's reach the whole group by themselves. */
			kill(child, number);
		}
	}
}

/* Ends as the command did: with its code, or by its signal. */
static int end_like(int status)
{
	const struct rlimit no_core = { 0 };
	sigset_t mask;

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	setrlimit(RLIMIT_CORE, &no_core);
	signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&mask);
	sigaddset(&mask, WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

/* All signals but those that a fault of our own raises. */
static void block_signals(sigset_t *ret_signals, sigset_t *ret_old)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP,
				      SIGABRT, SIGTTIN, SIGTTOU, SIGTSTP };

	sigfillset(ret_signals);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(ret_signals, faults[i]);
	sigprocmask(SIG_BLOCK, ret_signals, ret_old);
}

static int run_in_cgroup(const char *cgroup, char **argv)
{
	sigset_t signals, old;
	pid_t child;
	int status;

	block_signals(&signals, &old);
	child = fork();
	if (child < 0)
		return vmc_report_failure("cannot start a process: %s",
					  strerror(errno));
	if (!child)
		start_command(cgroup, &old, argv);
	status = wait_for(child, &signals);
	vmc_cgroup_remove(cgroup);
	return end_like(status);
}

static int run_redirected(char **argv)
{
	char cgroup[VMC_CGROUP_PATH_BYTES];
	int redirect, error, code;

	error = vmc_cgroup_make(cgroup, sizeof(cgroup));
	if (error) {
		vmc_report("no cgroup (v2) to be had: %s; using the LD_PRELOAD shim, which static programs ignore",
			   strerror(-error));
		return run_with_shim(argv);
	}
	error = vmc_redirect_hold(cgroup, &redirect);
	if (error) {
		vmc_cgroup_remove(cgroup);
		if (error == -E2BIG)
			return vmc_report_failure(
				"too many 'vmcircuit run' at once: put the programs in one cgroup and use 'vmcircuit up --cgroup'");
		return vmc_report_failure("cannot load the redirect: %s; try again with VMCIRCUIT_DEBUG=1, or --preload",
					  strerror(-error));
	}
	code = run_in_cgroup(cgroup, argv);
	close(redirect);
	return code;
}

/**
 * vmc_command_run - "vmcircuit run"
 * @self: this command
 * @argc: of @argv
 * @argv: its name and arguments
 *
 * Return: exit code, the command's own if it ran.
 */
int vmc_command_run(const struct vmc_command *self, int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "preload", no_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	struct vmc_module_status status;
	bool preload = false;
	int option;

	/* '+': the command's own options are not ours. */
	while ((option = getopt_long(argc, argv, "+:h", long_options,
				     NULL)) != -1) {
		if (option != 'p')
			return vmc_command_option(self, option, argv);
		preload = true;
	}
	if (optind == argc)
		return vmc_report_usage("run", "give a command to run");
	argv += optind;
	if (vmc_module_read_status(&status) || !status.loaded)
		return vmc_report_failure(
			"this guest is not attached: use 'vmcircuit up --no-redirect' first");
	if (preload)
		return run_with_shim(argv);
	if (geteuid()) {
		vmc_report("not root: using the LD_PRELOAD shim, which static programs ignore");
		return run_with_shim(argv);
	}
	if (!vmc_redirect_is_possible()) {
		vmc_report("this kernel cannot redirect: using the LD_PRELOAD shim, which static programs ignore");
		return run_with_shim(argv);
	}
	return run_redirected(argv);
}
