// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmcircuit down: the steps of "up" backwards. Goes as far as it can, so that
 * the redirect ends whatever else fails.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include "commands.h"
#include "link.h"
#include "loader.h"
#include "lock.h"
#include "module.h"
#include "report.h"
#include "resolver.h"

static int go_down(bool unload)
{
	int code = 0, error;

	error = vmc_redirect_unpin();
	if (error)
		code = vmc_report_failure(
			"cannot end the redirect: %s; remove /sys/fs/bpf/vmcircuit by hand",
			strerror(-error));
	error = vmc_resolver_clear();
	if (error)
		code = vmc_report_failure(
			"cannot remove the switch's name servers: %s; see %s",
			strerror(-error), VMC_RESOLVER_FILE);
	error = vmc_link_clear();
	if (error)
		code = vmc_report_failure("cannot take %s down: %s; use 'ip link'",
					  VMC_LINK_NAME, strerror(-error));
	if (code || !unload)
		return code;
	error = vmc_module_unload();
	if (error == -EBUSY)
		return vmc_report_failure(
			"the module is in use: end the programs that have circuit sockets, then try again");
	if (error)
		return vmc_report_failure("cannot unload the module: %s",
					  strerror(-error));
	return 0;
}

/**
 * vmc_command_down - "vmcircuit down"
 * @self: this command
 * @argc: of @argv
 * @argv: its name and arguments
 *
 * Return: exit code.
 */
int vmc_command_down(const struct vmc_command *self, int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "unload", no_argument, NULL, 'u' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	bool unload = false;
	int option, error;

	while ((option = getopt_long(argc, argv, ":h", long_options,
				     NULL)) != -1) {
		if (option != 'u')
			return vmc_command_option(self, option, argv);
		unload = true;
	}
	if (optind < argc)
		return vmc_report_usage("down", "'down' takes no argument '%s'",
					argv[optind]);
	if (geteuid())
		return vmc_report_failure("'down' changes the network: run it as root");
	error = vmc_lock_take();
	if (error)
		return vmc_report_failure("cannot lock /run/vmcircuit.lock: %s",
					  strerror(-error));
	return go_down(unload);
}
