/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_TOOL_REPORT_H
#define VMC_TOOL_REPORT_H

/* Exit codes of the tool. */
#define VMC_EXIT_FAILURE	1
#define VMC_EXIT_USAGE		2

void vmc_report(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
int vmc_report_failure(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
int vmc_report_usage(const char *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* VMC_TOOL_REPORT_H */
