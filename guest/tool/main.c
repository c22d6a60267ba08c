// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmcircuit: the guest's tool. This file has the command table and what is
 * common to all command lines.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "commands.h"
#include "report.h"

static const struct vmc_command commands[] = {
	{ "up", "attach this guest and turn its TCP and UDP sockets into circuits",
	  "Usage: vmcircuit up [--cgroup PATH] [--timeout SECONDS]\n\n"
	  "Loads the module, waits for the switch, gives circuit0 the addresses\n"
	  "that the switch names, and redirects new TCP and UDP sockets to circuits.\n"
	  "A second 'up' applies changed addresses and options.\n\n"
	  "  --cgroup PATH      redirect only programs in this cgroup (v2) and\n"
	  "                     below; PATH may be relative to its mount\n"
	  "  --no-redirect      leave sockets alone; see 'vmcircuit run'\n"
	  "  --timeout SECONDS  how long to wait for the switch, default 10\n",
	  vmc_command_up },
	{ "down", "new sockets are TCP and UDP again, circuit0 has no addresses",
	  "Usage: vmcircuit down [--unload]\n\n"
	  "Ends the redirect and takes circuit0 down. Open circuits go on.\n\n"
	  "  --unload           unload the module too, unless it is in use\n",
	  vmc_command_down },
	{ "status", "show whether this guest is attached, and count circuits",
	  "Usage: vmcircuit status [--json]\n\n"
	  "  --json             for programs\n",
	  vmc_command_status },
	{ "run", "run one command whose TCP and UDP sockets are circuits",
	  "Usage: vmcircuit run [--preload] COMMAND [ARGUMENT...]\n\n"
	  "For guests whose redirect is off ('vmcircuit up --no-redirect') or\n"
	  "does not cover COMMAND. Exits as COMMAND does.\n\n"
	  "  --preload          use the LD_PRELOAD shim, which static programs\n"
	  "                     ignore; the default where the kernel cannot\n"
	  "                     redirect, or without root\n",
	  vmc_command_run },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(void)
{
	puts("Usage: vmcircuit COMMAND [OPTION...]\n\n"
	     "Circuits for this virtual machine's TCP and UDP sockets.\n");
	for (size_t i = 0; i < NR_COMMANDS; i++)
		printf("  %-8s %s\n", commands[i].name, commands[i].summary);
	puts("\n  --help, --version\n\n"
	     "'vmcircuit COMMAND --help' explains a command; vmcircuit(8) all.");
}

/**
 * vmc_command_option - handle an option that is not the command's own
 * @self: the command
 * @option: what getopt_long() returned: 'h', '?' or ':'
 * @argv: the command's, to name the culprit
 *
 * Return: the exit code; the command returns it at once.
 */
int vmc_command_option(const struct vmc_command *self, int option, char **argv)
{
	if (option == 'h') {
		fputs(self->help, stdout);
		return 0;
	}
	if (option == ':')
		return vmc_report_usage(self->name, "'%s' needs a value",
					argv[optind - 1]);
	return vmc_report_usage(self->name, "'%s' has no option '%s'",
				self->name, argv[optind - 1]);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name)
		return vmc_report_usage(NULL, "give a command");
	if (!strcmp(name, "--help") || !strcmp(name, "-h") ||
	    !strcmp(name, "help")) {
		print_help();
		return 0;
	}
	if (!strcmp(name, "--version")) {
		puts("vmcircuit " VMC_VERSION);
		return 0;
	}
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		if (strcmp(name, commands[i].name))
			continue;
		/* The commands say themselves what is wrong with an option. */
		opterr = 0;
		return commands[i].run(&commands[i], argc - 1, argv + 1);
	}
	return vmc_report_usage(NULL, "there is no command '%s'", name);
}
