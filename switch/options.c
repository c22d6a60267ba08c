// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line. Owns nothing: the strings are argv's. Called by main.c.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "switch/log.h"
#include "switch/options.h"

#define DEFAULT_CONFIG	"/etc/vmcircuit/vmcircuitd.conf"

static const char help[] =
"Usage: vmcircuitd [OPTION]...\n"
"The switch of a circuit-switched network for virtual machines.\n"
"\n"
"  -c, --config FILE     configuration (default " DEFAULT_CONFIG ")\n"
"      --check           check the configuration and exit\n"
"      --log-level LEVEL error, warning, notice, info or debug\n"
"      --version         print the version and exit\n"
"  -h, --help            print this and exit\n"
"\n"
"See vmcircuitd(8), vmcircuitd.conf(5).\n";

enum {
	OPTION_CHECK = 256,
	OPTION_LOG_LEVEL,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{ "config",	required_argument,	NULL, 'c' },
	{ "check",	no_argument,		NULL, OPTION_CHECK },
	{ "log-level",	required_argument,	NULL, OPTION_LOG_LEVEL },
	{ "version",	no_argument,		NULL, OPTION_VERSION },
	{ "help",	no_argument,		NULL, 'h' },
	{ NULL,		0,			NULL, 0 },
};

/* getopt_long() has said what is wrong, or the caller does. */
static enum vmc_options_result wrong(const char *what, const char *value)
{
	if (what)
		fprintf(stderr, "vmcircuitd: %s \"%s\"\n", what, value);
	fputs("vmcircuitd: --help lists the options\n", stderr);
	return VMC_OPTIONS_WRONG;
}

/**
 * vmc_options_parse - read the command line
 * @argc: main()'s
 * @argv: main()'s
 * @ret_options: the options, when the result is VMC_OPTIONS_RUN
 *
 * Return: what to do.
 */
enum vmc_options_result vmc_options_parse(int argc, char **argv,
					  struct vmc_arguments *ret_options)
{
	struct vmc_arguments options = { .config = DEFAULT_CONFIG };
	int option;

	while ((option = getopt_long(argc, argv, "c:h", long_options,
				     NULL)) != -1) {
		switch (option) {
		case 'c':
			options.config = optarg;
			break;
		case OPTION_CHECK:
			options.is_check = true;
			break;
		case OPTION_LOG_LEVEL:
			if (vmc_log_set_level(optarg))
				return wrong("unknown log level", optarg);
			options.log_level = optarg;
			break;
		case OPTION_VERSION:
			puts("vmcircuitd " VMC_VERSION);
			return VMC_OPTIONS_DONE;
		case 'h':
			fputs(help, stdout);
			return VMC_OPTIONS_DONE;
		default:
			return wrong(NULL, NULL);
		}
	}
	if (optind < argc)
		return wrong("unexpected argument", argv[optind]);
	*ret_options = options;
	return VMC_OPTIONS_RUN;
}
