/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DIFF_CALL_H
#define DIFF_CALL_H

#include <netinet/in.h>
#include "world.h"

/* What an operation gave on one side. */
struct diff_result {
	long value;		/* of the system call; descriptors: 0 */
	int error;		/* errno, if value is -1 */
	int detail[4];		/* masks, names, what getsockopt() says */
	long nr_passed;		/* urgent bytes between those received */
	int fd;			/* a new descriptor, or -1 */
	bool is_wrong;		/* what was read is not what was sent */
};

/* An operation on one side, with all that it needs while others go on. */
struct diff_call {
	struct diff_operation operation;
	struct diff_world *world;
	enum diff_side side;
	int fd, other_fd;
	struct diff_connection *connection;
	unsigned int end;
	bool was_full;		/* when it began; for calls that send */
	unsigned int *nr_waiting;	/* of its socket and kind, or NULL */
	unsigned int number;	/* of a datagram: each has other bytes */
	struct diff_result result;
};

void diff_call_run(struct diff_call *call);

/* The parts of it, by kind; see there. */
void diff_call_open(struct diff_call *call);
void diff_call_transfer(struct diff_call *call);
void diff_call_wait(struct diff_call *call);
void diff_call_option(struct diff_call *call);

int diff_family_of(int fd);
socklen_t diff_address_make(struct sockaddr_in6 *ret_name, int family,
			    int address, uint16_t port);
bool diff_address_is_foreign(int address);
void diff_call_return(struct diff_call *call, long value);
unsigned int diff_poll_mask(int fd, unsigned int events);
bool diff_option_is_refused(int option);
bool diff_option_is_silent(int option);
bool diff_option_is_narrow(int option, int value);
bool diff_option_is_sharing(int option);
bool diff_option_is_low_water(int option);
bool diff_option_is_error(int option);

#endif /* DIFF_CALL_H */
