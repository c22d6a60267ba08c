// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sequences of operations as text, one operation a line: its name and decimal
 * arguments. '#' begins a comment. What each argument means is in the table.
 */
#include <stdlib.h>
#include <string.h>
#include "sequence.h"

static const struct {
	const char *name;
	unsigned int nr_arguments;
} kinds[DIFF_NR_KINDS] = {
	[DIFF_SOCKET] = { "socket", 3 },	/* slot 4|6 nonblocking */
	[DIFF_BIND] = { "bind", 3 },		/* slot address port|-1 */
	[DIFF_LISTEN] = { "listen", 2 },	/* slot backlog */
	[DIFF_CONNECT] = { "connect", 3 },	/* slot listener address */
	[DIFF_CONNECT_PORT] = { "connect_port", 3 },	/* slot port address */
	[DIFF_DISCONNECT] = { "disconnect", 1 },	/* slot */
	[DIFF_ACCEPT] = { "accept", 3 },	/* listener slot nonblocking */
	[DIFF_CLOSE] = { "close", 1 },		/* slot */
	[DIFF_DUP] = { "dup", 2 },		/* slot new-slot */
	[DIFF_PASS] = { "pass", 2 },		/* slot new-slot */
	[DIFF_FORK_HOLD] = { "fork_hold", 0 },
	[DIFF_FORK_END] = { "fork_end", 0 },
	[DIFF_FORK_SEND] = { "fork_send", 2 },	/* slot bytes */
	[DIFF_SEND] = { "send", 4 },		/* slot bytes flags way */
	[DIFF_RECV] = { "recv", 4 },		/* slot bytes flags way */
	[DIFF_SPLICE_IN] = { "splice_in", 3 },	/* slot bytes flags */
	[DIFF_SPLICE_OUT] = { "splice_out", 3 },	/* slot bytes flags */
	[DIFF_SENDFILE] = { "sendfile", 2 },	/* slot bytes */
	[DIFF_BULK] = { "bulk", 2 },		/* slot bytes */
	[DIFF_FILL] = { "fill", 1 },		/* slot */
	[DIFF_DRAIN] = { "drain", 1 },		/* slot */
	[DIFF_SHUTDOWN] = { "shutdown", 2 },	/* slot how */
	[DIFF_SET] = { "set", 3 },		/* slot option value */
	[DIFF_GET] = { "get", 2 },		/* slot option */
	[DIFF_NAME] = { "name", 2 },		/* slot of-peer */
	[DIFF_IOCTL] = { "ioctl", 2 },		/* slot which */
	[DIFF_NONBLOCK] = { "nonblock", 2 },	/* slot on */
	[DIFF_POLL] = { "poll", 3 },		/* slot events timeout-ms */
	[DIFF_SELECT] = { "select", 0 },
	[DIFF_EPOLL_ADD] = { "epoll_add", 2 },	/* slot events */
	[DIFF_EPOLL_MOD] = { "epoll_mod", 2 },	/* slot events */
	[DIFF_EPOLL_DEL] = { "epoll_del", 1 },	/* slot */
	[DIFF_EPOLL_WAIT] = { "epoll_wait", 0 },
	[DIFF_INTERRUPT] = { "interrupt", 1 },	/* 1: calls are restarted */
	[DIFF_SIGIO] = { "sigio", 2 },		/* slot on */
	[DIFF_SIGIO_WAIT] = { "sigio_wait", 0 },
	[DIFF_DATAGRAM] = { "datagram", 3 },	/* slot 4|6 nonblocking */
	[DIFF_SEND_TO] = { "send_to", 4 },	/* slot bytes to-slot address */
	[DIFF_SEND_PARTS] = { "send_parts", 3 },	/* slot bytes of-each */
};

/**
 * diff_kind_name - an operation's name in a sequence's text
 * @kind: which
 */
const char *diff_kind_name(enum diff_kind kind)
{
	return kinds[kind].name;
}

/**
 * diff_kind_nr_arguments - how many arguments an operation has
 * @kind: which
 */
unsigned int diff_kind_nr_arguments(enum diff_kind kind)
{
	return kinds[kind].nr_arguments;
}

static int operation_parse(char *line, struct diff_operation *operation)
{
	char *save, *word = strtok_r(line, " \t\n", &save), *end;
	unsigned int kind, i;

	for (kind = 0; kind < DIFF_NR_KINDS; kind++)
		if (!strcmp(word, kinds[kind].name))
			break;
	if (kind == DIFF_NR_KINDS)
		return -1;
	*operation = (struct diff_operation){ .kind = kind };
	for (i = 0; i < kinds[kind].nr_arguments; i++) {
		word = strtok_r(NULL, " \t\n", &save);
		if (!word)
			return -1;
		operation->argument[i] = (int)strtol(word, &end, 10);
		if (*end)
			return -1;
	}
	return strtok_r(NULL, " \t\n", &save) ? -1 : 0;
}

/**
 * diff_sequence_read - read a sequence's text to its end
 * @file: open
 * @ret_sequence: overwritten
 *
 * Return: 0, or the number of the line that cannot be understood.
 */
int diff_sequence_read(FILE *file, struct diff_sequence *ret_sequence)
{
	char line[256];
	int number = 0;

	ret_sequence->nr = 0;
	while (fgets(line, sizeof(line), file)) {
		number++;
		line[strcspn(line, "#")] = '\0';
		if (!line[strspn(line, " \t\n")])
			continue;
		if (ret_sequence->nr == DIFF_MAX_OPERATIONS ||
		    operation_parse(line,
				&ret_sequence->operations[ret_sequence->nr]))
			return number;
		ret_sequence->nr++;
	}
	return 0;
}

/**
 * diff_operation_write - an operation's text, without a newline
 * @file: open
 * @operation: which
 */
void diff_operation_write(FILE *file, const struct diff_operation *operation)
{
	unsigned int i;

	fputs(kinds[operation->kind].name, file);
	for (i = 0; i < kinds[operation->kind].nr_arguments; i++)
		fprintf(file, " %d", operation->argument[i]);
}

/**
 * diff_sequence_write - a sequence's text
 * @file: open
 * @sequence: which
 */
void diff_sequence_write(FILE *file, const struct diff_sequence *sequence)
{
	unsigned int i;

	for (i = 0; i < sequence->nr; i++) {
		diff_operation_write(file, &sequence->operations[i]);
		fputc('\n', file);
	}
}
