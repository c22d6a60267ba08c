// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmcircuit up: module, addresses and routes, name servers, redirect, in this
 * order, for a redirected socket needs the module and a circuit needs the
 * addresses. A failure undoes
 * what this call did, and nothing that was there before it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "cgroup.h"
#include "commands.h"
#include "link.h"
#include "loader.h"
#include "lock.h"
#include "module.h"
#include "report.h"
#include "resolver.h"

#define DEFAULT_TIMEOUT_S	10
#define MAX_TIMEOUT_S		86400

struct options {
	const char *cgroup;	/* as given, or NULL */
	bool no_redirect;
	unsigned int timeout_s;
};

static int report_load_failure(int error)
{
	struct utsname kernel;

	uname(&kernel);
	if (error == -ENOENT)
		return vmc_report_failure(
			"there is no module for kernel %s: install it with dkms or in /usr/lib/modules/%s/updates",
			kernel.release, kernel.release);
	return vmc_report_failure(
		"cannot load the module: %s; see the end of 'dmesg'",
		strerror(-error));
}

static int report_wait_failure(int error, const struct options *options,
			       const struct vmc_module_status *status)
{
	if (error == -ENONET)
		return vmc_report_failure(
			"this is not the guest's first network namespace, the only one that has circuits: run 'vmcircuit up' outside");
	if (error != -ETIMEDOUT)
		return vmc_report_failure("cannot read the module's status: %s",
					  strerror(-error));
	if (status->state == VMC_MODULE_ABSENT)
		return vmc_report_failure(
			"this virtual machine has no circuit device: start it with the QEMU options in the README");
	return vmc_report_failure(
		"no switch answered within %u s: see that vmcircuitd runs on the host and serves this machine's socket",
		options->timeout_s);
}

static int report_link_failure(int error)
{
	if (error == -ENODEV)
		return vmc_report_failure(
			"the module made no interface %s: see the end of 'dmesg'",
			VMC_LINK_NAME);
	return vmc_report_failure(
		"cannot give %s its addresses and routes: %s; see 'ip addr' for an address that another interface has",
		VMC_LINK_NAME, strerror(-error));
}

static int report_redirect_failure(int error)
{
	if (!vmc_redirect_is_possible())
		return vmc_report_failure(
			"this kernel cannot redirect sockets (it needs BTF, BPF and MPTCP): use 'vmcircuit up --no-redirect' and 'vmcircuit run'");
	return vmc_report_failure(
		"cannot load the redirect: %s; try again with VMCIRCUIT_DEBUG=1",
		strerror(-error));
}

static int set_resolvers(const struct vmc_module_status *status)
{
	int error = status->nr_resolvers ?
		    vmc_resolver_write(status->resolvers,
				       status->nr_resolvers,
				       status->has_uplink_datagrams) :
		    vmc_resolver_clear();

	if (!error)
		return 0;
	return vmc_report_failure(
		"cannot write the switch's name servers to %s: %s",
		VMC_RESOLVER_FILE, strerror(-error));
}

static int set_redirect(const struct options *options, const char *cgroup)
{
	if (options->no_redirect)
		return vmc_redirect_unpin();
	return vmc_redirect_pin(options->cgroup ? cgroup : NULL);
}

/* Everything after the command line. */
static int go_up(const struct options *options, const char *cgroup)
{
	bool loaded_now = false, was_up = false;
	struct vmc_module_status status;
	int error, code;

	error = vmc_module_load(&loaded_now);
	if (error)
		return report_load_failure(error);
	error = vmc_module_wait(options->timeout_s * 1000, &status);
	if (error) {
		code = report_wait_failure(error, options, &status);
		goto unload;
	}
	if (!status.nr_addresses)
		vmc_report("the switch gave this machine no address: no connection will be a circuit");
	error = vmc_link_is_up(&was_up);
	if (!error)
		error = vmc_link_configure(status.addresses,
					   status.nr_addresses,
					   status.has_uplink);
	if (error) {
		code = report_link_failure(error);
		goto clear_link;
	}
	code = set_resolvers(&status);
	if (code)
		goto clear_link;
	error = set_redirect(options, cgroup);
	if (error) {
		code = report_redirect_failure(error);
		goto clear_resolvers;
	}
	return 0;

clear_resolvers:
	if (!was_up)
		vmc_resolver_clear();
clear_link:
	if (!was_up)
		vmc_link_clear();
unload:
	if (loaded_now)
		vmc_module_unload();
	return code;
}

static bool parse_timeout(const char *text, unsigned int *ret_timeout_s)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || end == text || value > MAX_TIMEOUT_S)
		return false;
	*ret_timeout_s = (unsigned int)value;
	return true;
}

/**
 * vmc_command_up - "vmcircuit up"
 * @self: this command
 * @argc: of @argv
 * @argv: its name and arguments
 *
 * Return: exit code.
 */
int vmc_command_up(const struct vmc_command *self, int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "cgroup", required_argument, NULL, 'c' },
		{ "no-redirect", no_argument, NULL, 'n' },
		{ "timeout", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	struct options options = { .timeout_s = DEFAULT_TIMEOUT_S };
	char cgroup[VMC_CGROUP_PATH_BYTES] = "";
	int option, error;

	while ((option = getopt_long(argc, argv, ":h", long_options,
				     NULL)) != -1) {
		if (option == 'c')
			options.cgroup = optarg;
		else if (option == 'n')
			options.no_redirect = true;
		else if (option != 't')
			return vmc_command_option(self, option, argv);
		else if (!parse_timeout(optarg, &options.timeout_s))
			return vmc_report_usage(
				"up", "'%s' is no number of seconds up to %d",
				optarg, MAX_TIMEOUT_S);
	}
	if (optind < argc)
		return vmc_report_usage("up", "'up' takes no argument '%s'",
					argv[optind]);
	if (options.cgroup && options.no_redirect)
		return vmc_report_usage(
			"up", "--cgroup and --no-redirect exclude each other");
	if (geteuid())
		return vmc_report_failure("'up' changes the network: run it as root");
	if (options.cgroup) {
		error = vmc_cgroup_find(options.cgroup, cgroup, sizeof(cgroup));
		if (error)
			return vmc_report_failure(
				"'%s' is no cgroup (v2): %s; see 'systemd-cgls'",
				options.cgroup, strerror(-error));
	}
	error = vmc_lock_take();
	if (error)
		return vmc_report_failure("cannot lock /run/vmcircuit.lock: %s",
					  strerror(-error));
	return go_up(&options, cgroup);
}
