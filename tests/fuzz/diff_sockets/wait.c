// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Operations that ask which sockets are ready, on one side. A whole answer is
 * an array of masks, one for each slot, folded into the result's details where
 * the number of slots allows it: four slots of eight bits in each.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>
#include "call.h"

_Static_assert(DIFF_NR_SLOTS <= 12, "details hold 12 slots");
_Static_assert(POLLIN == EPOLLIN && POLLPRI == EPOLLPRI &&
	       POLLOUT == EPOLLOUT && POLLERR == EPOLLERR &&
	       POLLHUP == EPOLLHUP && (EPOLLRDHUP >> 8) == 0x20,
	       "masks fold into eight bits");

/* RDHUP takes a bit that none of the others has. */
static unsigned int mask_fold(unsigned int events)
{
	return (events & (EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLERR |
			  EPOLLHUP)) |
	       (events & EPOLLRDHUP ? 0x20 : 0);
}

static void mask_add(struct diff_call *call, unsigned int slot,
		     unsigned int events)
{
	call->result.detail[slot / 4] |=
		(int)(mask_fold(events) << (slot % 4 * 8));
}

/**
 * diff_poll_mask - what poll() says of one socket now
 * @fd: of it
 * @events: wanted
 */
unsigned int diff_poll_mask(int fd, unsigned int events)
{
	struct pollfd poller = { .fd = fd, .events = (short)events };

	poll(&poller, 1, 0);
	return mask_fold((unsigned short)poller.revents);
}

static void call_poll(struct diff_call *call)
{
	struct pollfd poller = {
		.fd = call->fd,
		.events = (short)call->operation.argument[1],
	};
	int n = poll(&poller, 1, call->operation.argument[2]);

	diff_call_return(call, n);
	call->result.detail[0] = n < 0 ? 0 :
		(int)mask_fold((unsigned short)poller.revents);
}

static void call_select(struct diff_call *call)
{
	const struct diff_slot *slots = call->world->slots;
	struct timeval none = { 0 };
	fd_set in, out, except;
	int i, fd, most = -1;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&except);
	for (i = 0; i < DIFF_NR_SLOTS; i++) {
		fd = slots[i].fd[call->side];
		if (fd < 0)
			continue;
		FD_SET(fd, &in);
		FD_SET(fd, &out);
		FD_SET(fd, &except);
		most = fd > most ? fd : most;
	}
	diff_call_return(call, select(most + 1, &in, &out, &except, &none));
	for (i = 0; i < DIFF_NR_SLOTS; i++) {
		fd = slots[i].fd[call->side];
		if (fd >= 0)
			mask_add(call, (unsigned int)i,
				 (FD_ISSET(fd, &in) ? EPOLLIN : 0U) |
				 (FD_ISSET(fd, &out) ? EPOLLOUT : 0U) |
				 (FD_ISSET(fd, &except) ? EPOLLPRI : 0U));
	}
}

static void call_epoll_control(struct diff_call *call, int what)
{
	struct epoll_event event = {
		.events = (unsigned int)call->operation.argument[1],
		.data.u32 = (unsigned int)call->operation.argument[0],
	};

	diff_call_return(call, epoll_ctl(call->world->places[call->side].epoll,
					 what, call->fd, &event));
}

static void call_epoll_wait(struct diff_call *call)
{
	struct epoll_event events[DIFF_NR_SLOTS * 2];
	int n, i;

	n = epoll_wait(call->world->places[call->side].epoll, events,
		       DIFF_NR_SLOTS * 2, 0);
	diff_call_return(call, n);
	for (i = 0; i < n; i++)
		mask_add(call, events[i].data.u32, events[i].events);
}

/* Signals tell which side's socket it was by their number. */
static void call_sigio(struct diff_call *call)
{
	int flags = fcntl(call->fd, F_GETFL);
	bool is_on = call->operation.argument[1];
	/* This thread; the others sleep in calls that it would end. */
	struct f_owner_ex owner = { .type = F_OWNER_TID, .pid = gettid() };

	if (fcntl(call->fd, F_SETOWN_EX, &owner) ||
	    fcntl(call->fd, F_SETSIG, SIGRTMIN + (int)call->side)) {
		diff_call_return(call, -1);
		return;
	}
	diff_call_return(call, fcntl(call->fd, F_SETFL,
		is_on ? flags | O_ASYNC : flags & ~O_ASYNC));
}

/**
 * diff_call_wait - the operations of this file
 * @call: of one of those kinds
 */
void diff_call_wait(struct diff_call *call)
{
	switch ((int)call->operation.kind) {
	case DIFF_POLL:
		call_poll(call);
		break;
	case DIFF_SELECT:
		call_select(call);
		break;
	case DIFF_EPOLL_ADD:
		call_epoll_control(call, EPOLL_CTL_ADD);
		break;
	case DIFF_EPOLL_MOD:
		call_epoll_control(call, EPOLL_CTL_MOD);
		break;
	case DIFF_EPOLL_DEL:
		call_epoll_control(call, EPOLL_CTL_DEL);
		break;
	case DIFF_EPOLL_WAIT:
		call_epoll_wait(call);
		break;
	case DIFF_SIGIO:
		call_sigio(call);
		break;
	}
}
