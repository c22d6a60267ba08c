// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random sequences, the same for the same seed. Each begins with a connection
 * or two, so that most of what follows has something to do; slot 0 listens,
 * slots 1 and 2 are the ends, 3 to 5 perhaps another such group. What makes no
 * sense is left out when it is played.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "draw.h"
#include "generate.h"
#include "world.h"

/* Of option.c's, those that make sense on a stream. */
#define NR_STREAM_OPTIONS 32

#define DRAW_OF(generator, values) \
	diff_draw_of(generator, values, DIFF_ARRAY_SIZE(values))

/* Mostly the ends of connections. */
static int draw_slot(struct diff_generator *generator)
{
	static const int slots[] = { 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 4, 4,
				     5, 5, 6, 7, 8, 9 };

	return DRAW_OF(generator, slots);
}

/* One that is likely to be free. */
static int draw_free(struct diff_generator *generator)
{
	return 6 + (int)diff_draw(generator, DIFF_NR_SLOTS - 6);
}

static int draw_bytes(struct diff_generator *generator)
{
	static const int bytes[] = { 0, 1, 1, 2, 3, 5, 10, 17, 64, 100, 255,
				     500, 1000, 1448, 1449, 3000, 4096, 5000 };

	return DRAW_OF(generator, bytes);
}

/* A listener, a socket that connects, what is accepted. */
static void add_group(struct diff_generator *generator, int first)
{
	static const int backlogs[] = { 0, 1, 8, 8, 8, 8, 8, 128 };
	int family = diff_draw(generator, 3) ? 4 : 6;
	int other = family == 6 || diff_draw(generator, 4) ? family : 6;
	bool is_any = diff_draw(generator, 3) == 0;
	bool is_dialled_nonblocking = diff_draw(generator, 4) == 0;
	int address = family == 4 && other == 6 ? 2 : 1;

	diff_draw_add(generator, DIFF_SOCKET, first,
		      is_any && diff_draw(generator, 2) ? 6 : family,
		      diff_draw(generator, 3) == 0, 0);
	diff_draw_add(
		generator, DIFF_BIND, first, is_any ? 0 : 1,
		diff_draw(generator, 2) ? -1 : (int)diff_draw(generator, 8), 0);
	if (diff_draw(generator, 6) == 0)
		diff_draw_add(generator, DIFF_SET, first,
			      (int)diff_draw(generator, NR_STREAM_OPTIONS),
			      (int)diff_draw(generator, 3), 0);
	diff_draw_add(generator, DIFF_LISTEN, first,
		      DRAW_OF(generator, backlogs), 0, 0);
	diff_draw_add(generator, DIFF_SOCKET, first + 1, other,
		      is_dialled_nonblocking, 0);
	if (diff_draw(generator, 5))
		diff_draw_add(generator, DIFF_SET, first + 1, 13, 1, 0);
	if (diff_draw(generator, 8) == 0)
		diff_draw_add(generator, DIFF_BIND, first + 1, address,
			      (int)diff_draw(generator, 16) - 1, 0);
	diff_draw_add(generator, DIFF_CONNECT, first + 1, first, address, 0);
	if (diff_draw(generator, 12) == 0)
		diff_draw_add(generator, DIFF_SEND, first + 1,
			      draw_bytes(generator), 0, 0);
	diff_draw_add(generator, DIFF_ACCEPT, first, first + 2,
		      diff_draw(generator, 3) == 0, 0);
	if (diff_draw(generator, 5))
		diff_draw_add(generator, DIFF_SET, first + 2, 13, 1, 0);
}

static void add_lifecycle(struct diff_generator *generator)
{
	int slot = draw_slot(generator);

	switch (diff_draw(generator, 14)) {
	case 0:
		diff_draw_add(generator, DIFF_SOCKET, draw_free(generator),
			      diff_draw(generator, 3) ? 4 : 6,
			      diff_draw(generator, 2), 0);
		break;
	case 1:
		diff_draw_add(generator, DIFF_BIND, slot,
			      (int)diff_draw(generator, 4),
			      (int)diff_draw(generator, 5) - 1, 0);
		break;
	case 2:
		diff_draw_add(generator, DIFF_LISTEN, slot,
			      (int)diff_draw(generator, 3), 0, 0);
		break;
	case 3:
		diff_draw_add(generator, DIFF_CONNECT, slot,
			      diff_draw(generator, 2) ? 0
						      : draw_slot(generator),
			      (int)diff_draw(generator, 3), 0);
		break;
	case 4:
		slot = draw_free(generator);
		diff_draw_add(generator, DIFF_SOCKET, slot,
			      diff_draw(generator, 3) ? 4 : 6,
			      diff_draw(generator, 2), 0);
		diff_draw_add(generator, DIFF_CONNECT_PORT, slot,
			      (int)diff_draw(generator, DIFF_NR_PORTS),
			      (int)diff_draw(generator, 3), 0);
		break;
	case 5:
		slot = draw_free(generator);
		diff_draw_add(generator, DIFF_SOCKET, slot,
			      diff_draw(generator, 3) ? 4 : 6,
			      diff_draw(generator, 2), 0);
		diff_draw_add(generator, DIFF_CONNECT, slot, 0, 1, 0);
		break;
	case 6:
		if (diff_draw(generator, 3) == 0)
			diff_draw_add(generator, DIFF_DISCONNECT, slot, 0, 0,
				      0);
		break;
	case 7:
	case 8:
		diff_draw_add(generator, DIFF_ACCEPT,
			      diff_draw(generator, 4) ? 0 : slot,
			      draw_free(generator),
			      (int)diff_draw(generator, 2), 0);
		break;
	case 9:
		diff_draw_add(generator, DIFF_CLOSE, slot, 0, 0, 0);
		break;
	case 10:
		diff_draw_add(generator,
			      diff_draw(generator, 2) ? DIFF_DUP : DIFF_PASS,
			      slot, draw_free(generator), 0, 0);
		break;
	case 11:
		diff_draw_add(generator,
			      diff_draw(generator, 2) ? DIFF_FORK_HOLD
						      : DIFF_FORK_END,
			      0, 0, 0, 0);
		break;
	default:
		diff_draw_add(generator, DIFF_SHUTDOWN, slot,
			      (int)diff_draw(generator, 3), 0, 0);
	}
}

static int draw_send_flags(struct diff_generator *generator)
{
	static const int flags[] = { 0, 0, 0, 0, 0, 0, MSG_DONTWAIT,
				     MSG_DONTWAIT, MSG_DONTROUTE, MSG_EOR,
				     MSG_CONFIRM };

	switch (diff_draw(generator, 50)) {
	case 0:
		return MSG_MORE;
	case 1 ... 3:
		return MSG_OOB;
	default:
		return DRAW_OF(generator, flags);
	}
}

/**
 * diff_draw_receive_flags - flags for recv(), mostly such as do not block
 * @generator: begun
 */
int diff_draw_receive_flags(struct diff_generator *generator)
{
	static const int flags[] = { 0, 0, 0, MSG_DONTWAIT, MSG_DONTWAIT,
		MSG_DONTWAIT, MSG_DONTWAIT, MSG_DONTWAIT, MSG_PEEK,
		MSG_WAITALL, MSG_TRUNC | MSG_DONTWAIT,
		MSG_PEEK | MSG_DONTWAIT, MSG_PEEK | MSG_DONTWAIT,
		MSG_WAITALL | MSG_DONTWAIT, MSG_WAITALL | MSG_PEEK,
		MSG_TRUNC, MSG_TRUNC | MSG_PEEK | MSG_DONTWAIT,
		MSG_OOB | MSG_DONTWAIT, MSG_OOB,
		MSG_ERRQUEUE | MSG_DONTWAIT, MSG_CMSG_CLOEXEC | MSG_DONTWAIT,
		MSG_ERRQUEUE };

	return DRAW_OF(generator, flags);
}

static void add_transfer(struct diff_generator *generator)
{
	int slot = draw_slot(generator), bytes = draw_bytes(generator);

	switch (diff_draw(generator, 24)) {
	default:
		diff_draw_add(generator, DIFF_SEND, slot, bytes,
			      draw_send_flags(generator),
			      (int)diff_draw(generator, 6));
		break;
	case 9 ... 17:
		diff_draw_add(generator, DIFF_RECV, slot, bytes,
			      diff_draw_receive_flags(generator),
			      (int)diff_draw(generator, 6));
		break;
	case 18:
		diff_draw_add(generator, DIFF_SPLICE_IN, slot, bytes,
			      diff_draw(generator, 2) ? SPLICE_F_NONBLOCK : 0,
			      0);
		break;
	case 19:
		diff_draw_add(generator, DIFF_SPLICE_OUT, slot, bytes,
			      diff_draw(generator, 2) ? SPLICE_F_NONBLOCK : 0,
			      0);
		break;
	case 20:
		diff_draw_add(generator, DIFF_SENDFILE, slot, bytes, 0, 0);
		break;
	case 21:
		if (diff_draw(generator, 3) == 0)
			diff_draw_add(generator, DIFF_FORK_SEND, slot, bytes, 0,
				      0);
		break;
	case 22:
		if (diff_draw(generator, 4) == 0)
			diff_draw_add(generator, DIFF_BULK, slot,
				      (int)diff_draw(generator, 1 << 20), 0, 0);
		break;
	case 23:
		diff_draw_add(generator, DIFF_DRAIN, slot, 0, 0, 0);
		if (diff_draw(generator, 10) == 0)
			diff_draw_add(generator, DIFF_FILL, slot, 0, 0, 0);
		break;
	}
}

/**
 * diff_draw_option - an operation on what a socket remembers
 * @generator: begun, added to
 * @slot: of the socket
 * @nr_options: of the first so many
 */
void diff_draw_option(struct diff_generator *generator, int slot,
		      unsigned int nr_options)
{
	static const int values[] = { 0, 0, 1, 1, 1, 2, 5, 20, 100, 5000,
				      100000, -1 };
	int option = (int)diff_draw(generator, nr_options);

	switch (diff_draw(generator, 8)) {
	case 0 ... 2:
		diff_draw_add(generator, DIFF_SET, slot, option,
			      DRAW_OF(generator, values), 0);
		break;
	case 3:
		diff_draw_add(generator, DIFF_GET, slot, 7, 0, 0);
		break;
	case 4:
		diff_draw_add(generator, DIFF_GET, slot, option, 0, 0);
		break;
	case 5:
		diff_draw_add(generator, DIFF_NAME, slot,
			      (int)diff_draw(generator, 2), 0, 0);
		break;
	case 6:
		diff_draw_add(generator, DIFF_IOCTL, slot,
			      (int)diff_draw(generator, 4), 0, 0);
		break;
	case 7:
		diff_draw_add(generator, DIFF_NONBLOCK, slot,
			      (int)diff_draw(generator, 2), 0, 0);
		break;
	}
}

/**
 * diff_draw_wait - an operation that asks, or is told, who is ready
 * @generator: begun, added to
 * @slot: of a socket
 */
void diff_draw_wait(struct diff_generator *generator, int slot)
{
	static const int events[] = { POLLIN, POLLOUT, POLLIN | POLLOUT,
		POLLRDHUP, POLLIN | POLLRDHUP, POLLPRI, 0,
		POLLIN | POLLOUT | POLLRDHUP | POLLPRI };
	static const int modes[] = { 0, 0, (int)EPOLLET, (int)EPOLLET,
				     (int)EPOLLONESHOT };
	static const int timeouts[] = { 0, 0, 0, 0, 20, -1 };
	int wanted = DRAW_OF(generator, events);

	switch (diff_draw(generator, 14)) {
	case 0 ... 2:
		diff_draw_add(generator, DIFF_POLL, slot, wanted,
			      DRAW_OF(generator, timeouts), 0);
		break;
	case 3:
		diff_draw_add(generator, DIFF_SELECT, 0, 0, 0, 0);
		break;
	case 4 ... 5:
		diff_draw_add(generator, DIFF_EPOLL_ADD, slot,
			      wanted | DRAW_OF(generator, modes), 0, 0);
		break;
	case 6:
		diff_draw_add(generator, DIFF_EPOLL_MOD, slot,
			      wanted | DRAW_OF(generator, modes), 0, 0);
		break;
	case 7:
		diff_draw_add(generator, DIFF_EPOLL_DEL, slot, 0, 0, 0);
		break;
	case 8 ... 10:
		diff_draw_add(generator, DIFF_EPOLL_WAIT, 0, 0, 0, 0);
		break;
	case 11:
		diff_draw_add(generator, DIFF_INTERRUPT,
			      (int)diff_draw(generator, 2), 0, 0, 0);
		break;
	case 12:
		diff_draw_add(generator, DIFF_SIGIO, slot,
			      (int)diff_draw(generator, 3) > 0, 0, 0);
		break;
	case 13:
		diff_draw_add(generator, DIFF_SIGIO_WAIT, 0, 0, 0, 0);
		break;
	}
}

/**
 * diff_generate - draw a sequence
 * @seed: any
 * @ret_sequence: overwritten
 */
void diff_generate(uint64_t seed, struct diff_sequence *ret_sequence)
{
	struct diff_generator generator;
	unsigned int i, nr;

	diff_draw_begin(&generator, seed, ret_sequence);
	add_group(&generator, 0);
	if (diff_draw(&generator, 3) == 0)
		add_group(&generator, 3);
	nr = 10 + diff_draw(&generator, 50);
	for (i = 0; i < nr; i++) {
		switch (diff_draw(&generator, 10)) {
		case 0 ... 1:
			add_lifecycle(&generator);
			break;
		case 2 ... 6:
			add_transfer(&generator);
			break;
		case 7:
			diff_draw_option(&generator, draw_slot(&generator),
					 NR_STREAM_OPTIONS);
			break;
		case 8 ... 9:
			diff_draw_wait(&generator, draw_slot(&generator));
			break;
		}
	}
}
