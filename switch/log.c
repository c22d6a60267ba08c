// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Log lines on standard error. Owns the level and the form of a line: with
 * the journal's priority prefix when standard error is the journal, else with
 * the program's name. Called by everybody.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "switch/log.h"

#define LOG_LINE_BYTES	512

static enum vmc_log_level max_level = VMC_LOG_INFO;
static bool is_journal;

static const struct {
	const char *name;
	enum vmc_log_level level;
} level_names[] = {
	{ "error",	VMC_LOG_ERROR },
	{ "warning",	VMC_LOG_WARNING },
	{ "notice",	VMC_LOG_NOTICE },
	{ "info",	VMC_LOG_INFO },
	{ "debug",	VMC_LOG_DEBUG },
};

#define NR_LEVELS	(sizeof(level_names) / sizeof(level_names[0]))

/**
 * vmc_log_open - find out whether standard error is the journal
 *
 * systemd names the journal's socket in JOURNAL_STREAM as device:inode; a
 * child whose standard error was redirected since must not use the prefixes.
 */
void vmc_log_open(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;

	is_journal = stream &&
		     sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
		     !fstat(2, &status) && status.st_dev == device &&
		     status.st_ino == inode;
}

/**
 * vmc_log_set_level - choose which lines appear
 * @name: error, warning, notice, info or debug
 *
 * Return: 0, or -EINVAL when no level has that name.
 */
int vmc_log_set_level(const char *name)
{
	size_t i;

	for (i = 0; i < NR_LEVELS; i++) {
		if (strcmp(level_names[i].name, name))
			continue;
		max_level = level_names[i].level;
		return 0;
	}
	return -EINVAL;
}

/**
 * vmc_log_is_on - whether lines of a level appear
 * @level: the level
 */
bool vmc_log_is_on(enum vmc_log_level level)
{
	return level <= max_level;
}

static const char *level_name(enum vmc_log_level level)
{
	size_t i;

	for (i = 0; i < NR_LEVELS; i++) {
		if (level_names[i].level == level)
			return level_names[i].name;
	}
	return "unknown";
}

static void write_line(enum vmc_log_level level, const char *format,
		       va_list args)
{
	char line[LOG_LINE_BYTES];

	vsnprintf(line, sizeof(line), format, args);
	if (is_journal)
		fprintf(stderr, "<%d>%s\n", level, line);
	else
		fprintf(stderr, "vmcircuitd: %s: %s\n", level_name(level),
			line);
}

/**
 * vmc_log - write one line
 * @level: its importance
 * @format: printf's format, without a newline
 */
void vmc_log(enum vmc_log_level level, const char *format, ...)
{
	va_list args;

	if (!vmc_log_is_on(level))
		return;
	va_start(args, format);
	write_line(level, format, args);
	va_end(args);
}

/**
 * vmc_log_limited - write one line unless too many of its kind were written
 * @limit: counts the lines of the kind; all zero at first
 * @level: its importance
 * @format: printf's format, without a newline
 *
 * For everything that a guest or a client can provoke.
 */
void vmc_log_limited(struct vmc_log_limit *limit, enum vmc_log_level level,
		     const char *format, ...)
{
	struct timespec now;
	uint64_t now_ms;
	va_list args;

	if (!vmc_log_is_on(level))
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	if (now_ms - limit->period_began_ms >= VMC_LOG_PERIOD_MS) {
		if (limit->nr_suppressed)
			vmc_log(level, "%u similar lines were left out",
				limit->nr_suppressed);
		*limit = (struct vmc_log_limit){ .period_began_ms = now_ms };
	}
	if (limit->nr_lines >= VMC_LOG_BURST) {
		limit->nr_suppressed++;
		return;
	}
	limit->nr_lines++;
	va_start(args, format);
	write_line(level, format, args);
	va_end(args);
}
