// SPDX-License-Identifier: GPL-2.0-or-later
/* One operation on one side, whatever kind it is. */
#include <errno.h>
#include <string.h>
#include "datagram.h"

/**
 * diff_call_return - keep what a system call returned, and its errno
 * @call: which
 * @value: what it returned
 */
void diff_call_return(struct diff_call *call, long value)
{
	call->result.value = value;
	call->result.error = value < 0 ? errno : 0;
}

/**
 * diff_call_run - do it
 * @call: result is filled in; nothing else changes but counters of its stream
 *
 * Run by the sequence's thread, or by an actor's if it may block.
 */
void diff_call_run(struct diff_call *call)
{
	memset(&call->result, 0, sizeof(call->result));
	call->result.fd = -1;
	switch (call->operation.kind) {
	case DIFF_SOCKET:
	case DIFF_BIND:
	case DIFF_LISTEN:
	case DIFF_CONNECT:
	case DIFF_CONNECT_PORT:
	case DIFF_DISCONNECT:
	case DIFF_ACCEPT:
	case DIFF_CLOSE:
	case DIFF_DUP:
	case DIFF_PASS:
	case DIFF_SHUTDOWN:
	case DIFF_NAME:
		diff_call_open(call);
		break;
	case DIFF_FORK_SEND:
	case DIFF_SEND:
	case DIFF_RECV:
	case DIFF_SPLICE_IN:
	case DIFF_SPLICE_OUT:
	case DIFF_SENDFILE:
	case DIFF_FILL:
	case DIFF_DRAIN:
		diff_call_transfer(call);
		break;
	case DIFF_SET:
	case DIFF_GET:
	case DIFF_IOCTL:
	case DIFF_NONBLOCK:
		diff_call_option(call);
		break;
	case DIFF_POLL:
	case DIFF_SELECT:
	case DIFF_EPOLL_ADD:
	case DIFF_EPOLL_MOD:
	case DIFF_EPOLL_DEL:
	case DIFF_EPOLL_WAIT:
	case DIFF_SIGIO:
		diff_call_wait(call);
		break;
	case DIFF_DATAGRAM:
	case DIFF_SEND_TO:
	case DIFF_SEND_PARTS:
		diff_call_datagram(call);
		break;
	case DIFF_BULK:		/* play.c makes others of these */
	case DIFF_FORK_HOLD:
	case DIFF_FORK_END:
	case DIFF_INTERRUPT:
	case DIFF_SIGIO_WAIT:
	case DIFF_NR_KINDS:
		break;
	}
}
