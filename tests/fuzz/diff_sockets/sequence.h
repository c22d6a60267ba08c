/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DIFF_SEQUENCE_H
#define DIFF_SEQUENCE_H

#include <stdint.h>
#include <stdio.h>

#define DIFF_MAX_ARGUMENTS	4
#define DIFF_MAX_OPERATIONS	256

/*
 * The operations, in the order of the table in sequence.c. A slot is a place
 * for one descriptor on each side; its number is an argument.
 */
enum diff_kind {
	DIFF_SOCKET, DIFF_BIND, DIFF_LISTEN, DIFF_CONNECT, DIFF_CONNECT_PORT,
	DIFF_DISCONNECT, DIFF_ACCEPT, DIFF_CLOSE, DIFF_DUP, DIFF_PASS,
	DIFF_FORK_HOLD, DIFF_FORK_END, DIFF_FORK_SEND, DIFF_SEND, DIFF_RECV,
	DIFF_SPLICE_IN, DIFF_SPLICE_OUT, DIFF_SENDFILE, DIFF_BULK, DIFF_FILL,
	DIFF_DRAIN, DIFF_SHUTDOWN, DIFF_SET, DIFF_GET, DIFF_NAME, DIFF_IOCTL,
	DIFF_NONBLOCK, DIFF_POLL, DIFF_SELECT, DIFF_EPOLL_ADD, DIFF_EPOLL_MOD,
	DIFF_EPOLL_DEL, DIFF_EPOLL_WAIT, DIFF_INTERRUPT, DIFF_SIGIO,
	DIFF_SIGIO_WAIT, DIFF_DATAGRAM, DIFF_SEND_TO, DIFF_SEND_PARTS,
	DIFF_NR_KINDS
};

struct diff_operation {
	enum diff_kind kind;
	int argument[DIFF_MAX_ARGUMENTS];
};

struct diff_sequence {
	unsigned int nr;
	struct diff_operation operations[DIFF_MAX_OPERATIONS];
};

const char *diff_kind_name(enum diff_kind kind);
unsigned int diff_kind_nr_arguments(enum diff_kind kind);
int diff_sequence_read(FILE *file, struct diff_sequence *ret_sequence);
void diff_sequence_write(FILE *file, const struct diff_sequence *sequence);
void diff_operation_write(FILE *file, const struct diff_operation *operation);

#endif /* DIFF_SEQUENCE_H */
