// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sentences for people, on stderr. Owns nothing; every command calls it.
 */
#include <stdarg.h>
#include <stdio.h>
#include "report.h"

static void print_sentence(const char *format, va_list arguments)
{
	fputs("vmcircuit: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

/**
 * vmc_report - say something that is no failure
 * @format: one sentence, as for printf, without a newline
 */
void vmc_report(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_sentence(format, arguments);
	va_end(arguments);
}

/**
 * vmc_report_failure - say why the command failed and what to do
 * @format: one sentence, as for printf, without a newline
 *
 * Return: VMC_EXIT_FAILURE, for "return vmc_report_failure(...)".
 */
int vmc_report_failure(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_sentence(format, arguments);
	va_end(arguments);
	return VMC_EXIT_FAILURE;
}

/**
 * vmc_report_usage - say what is wrong with the command line
 * @command: whose help to recommend, or NULL for the tool's
 * @format: one sentence, as for printf, without a newline
 *
 * Return: VMC_EXIT_USAGE.
 */
int vmc_report_usage(const char *command, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_sentence(format, arguments);
	va_end(arguments);
	fprintf(stderr, "Try 'vmcircuit %s%s--help'.\n",
		command ? command : "", command ? " " : "");
	return VMC_EXIT_USAGE;
}
