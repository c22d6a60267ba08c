// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmcircuitctl: the command line and the table of commands.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"

#define DEFAULT_SOCKET	"/run/vmcircuit/control.sock"

enum vm_argument {
	VM_NONE,
	VM_OPTIONAL,
	VM_NEEDED,
	OWN_WORDS,	/* the command reads them itself */
};

static const struct {
	const char *name;
	enum vm_argument vm;
	int (*run)(const struct vmc_ctl *ctl);
} commands[] = {
	{ "list",	VM_NONE,	vmc_command_list },
	{ "show",	VM_NEEDED,	vmc_command_show },
	{ "stats",	VM_OPTIONAL,	vmc_command_stats },
	{ "watch",	VM_OPTIONAL,	vmc_command_watch },
	{ "policy",	OWN_WORDS,	vmc_command_policy },
};

#define NR_COMMANDS	(sizeof(commands) / sizeof(commands[0]))

static const char help[] =
"Usage: vmcircuitctl [OPTION]... COMMAND\n"
"Look into the switch of a circuit-switched network for virtual machines.\n"
"\n"
"  list         the VMs and whether they are attached\n"
"  show VM      its listeners, links and circuits\n"
"  stats [VM]   counters\n"
"  watch [VM]   the list, or one VM, again each second\n"
"\n"
"  policy list        the rules in order, and how often each decided\n"
"  policy reload      read rules and proxies again from the configuration\n"
"  policy test VM PROTOCOL ADDRESS:PORT\n"
"                     which rule decides when the VM connects there\n"
"  policy test VM PROTOCOL from ADDRESS to PORT\n"
"                     which rule decides when somebody connects to its port\n"
"\n"
"  -s, --socket PATH   control socket (default " DEFAULT_SOCKET ")\n"
"  -j, --json          the switch's answer as it is, one object a line\n"
"      --version       print the version and exit\n"
"  -h, --help          print this and exit\n"
"\n"
"See vmcircuitctl(8).\n";

enum {
	OPTION_VERSION = 256,
};

static const struct option long_options[] = {
	{ "socket",	required_argument,	NULL, 's' },
	{ "json",	no_argument,		NULL, 'j' },
	{ "version",	no_argument,		NULL, OPTION_VERSION },
	{ "help",	no_argument,		NULL, 'h' },
	{ NULL,		0,			NULL, 0 },
};

int vmc_command_wrong(const char *what, const char *value)
{
	fprintf(stderr, "vmcircuitctl: %s%s%s\n", what, *value ? ": " : "",
		value);
	fputs("vmcircuitctl: --help lists the commands\n", stderr);
	return EXIT_USAGE;
}

static int run(struct vmc_ctl *ctl, int nr_words, char **words)
{
	size_t i;

	if (!nr_words)
		return vmc_command_wrong("a command is missing", "");
	for (i = 0; i < NR_COMMANDS; i++) {
		if (!strcmp(commands[i].name, words[0]))
			break;
	}
	if (i == NR_COMMANDS)
		return vmc_command_wrong("unknown command", words[0]);
	ctl->nr_words = nr_words - 1;
	ctl->words = words + 1;
	if (commands[i].vm == OWN_WORDS)
		return commands[i].run(ctl);
	if (commands[i].vm == VM_NEEDED && nr_words < 2)
		return vmc_command_wrong("the command needs the name of a VM",
					 words[0]);
	if (nr_words > (commands[i].vm == VM_NONE ? 1 : 2))
		return vmc_command_wrong("unexpected argument",
					 words[nr_words - 1]);
	ctl->vm = nr_words > 1 ? words[1] : NULL;
	return commands[i].run(ctl);
}

int main(int argc, char **argv)
{
	struct vmc_ctl ctl = {
		.socket = DEFAULT_SOCKET,
		.unreachable = EXIT_UNREACHABLE,
	};
	int option;

	while ((option = getopt_long(argc, argv, "+s:jh", long_options,
				     NULL)) != -1) {
		switch (option) {
		case 's':
			ctl.socket = optarg;
			break;
		case 'j':
			ctl.is_json = true;
			break;
		case OPTION_VERSION:
			puts("vmcircuitctl " VMC_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			fputs(help, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	return run(&ctl, argc - optind, argv + optind);
}
