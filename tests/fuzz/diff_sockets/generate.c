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
#include "generate.h"
#include "world.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

struct generator {
	uint64_t state;
	struct diff_sequence *sequence;
};

static unsigned int draw(struct generator *generator, unsigned int below)
{
	generator->state ^= generator->state << 13;
	generator->state ^= generator->state >> 7;
	generator->state ^= generator->state << 17;
	return (unsigned int)(generator->state >> 33) % below;
}

static int draw_of(struct generator *generator, const int *values,
		   unsigned int nr)
{
	return values[draw(generator, nr)];
}

#define DRAW_OF(generator, values) \
	draw_of(generator, values, ARRAY_SIZE(values))

static void add(struct generator *generator, enum diff_kind kind, int first,
		int second, int third, int fourth)
{
	struct diff_sequence *sequence = generator->sequence;

	if (sequence->nr == DIFF_MAX_OPERATIONS)
		return;
	sequence->operations[sequence->nr++] = (struct diff_operation){
		kind, { first, second, third, fourth } };
}

/* Mostly the ends of connections. */
static int draw_slot(struct generator *generator)
{
	static const int slots[] = { 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 4, 4,
				     5, 5, 6, 7, 8, 9 };

	return DRAW_OF(generator, slots);
}

/* One that is likely to be free. */
static int draw_free(struct generator *generator)
{
	return 6 + (int)draw(generator, DIFF_NR_SLOTS - 6);
}

static int draw_bytes(struct generator *generator)
{
	static const int bytes[] = { 0, 1, 1, 2, 3, 5, 10, 17, 64, 100, 255,
				     500, 1000, 1448, 1449, 3000, 4096, 5000 };

	return DRAW_OF(generator, bytes);
}

/* A listener, a socket that connects, what is accepted. */
static void add_group(struct generator *generator, int first)
{
	static const int backlogs[] = { 0, 1, 8, 8, 8, 8, 8, 128 };
	int family = draw(generator, 3) ? 4 : 6;
	int other = family == 6 || draw(generator, 4) ? family : 6;
	bool is_any = draw(generator, 3) == 0;
	bool is_dialled_nonblocking = draw(generator, 4) == 0;
	int address = family == 4 && other == 6 ? 2 : 1;

	add(generator, DIFF_SOCKET, first, is_any && draw(generator, 2) ? 6 :
	    family, draw(generator, 3) == 0, 0);
	add(generator, DIFF_BIND, first, is_any ? 0 : 1,
	    draw(generator, 2) ? -1 : (int)draw(generator, 8), 0);
	if (draw(generator, 6) == 0)
		add(generator, DIFF_SET, first, (int)draw(generator, 34),
		    (int)draw(generator, 3), 0);
	add(generator, DIFF_LISTEN, first, DRAW_OF(generator, backlogs), 0, 0);
	add(generator, DIFF_SOCKET, first + 1, other, is_dialled_nonblocking,
	    0);
	if (draw(generator, 5))
		add(generator, DIFF_SET, first + 1, 13, 1, 0);
	if (draw(generator, 8) == 0)
		add(generator, DIFF_BIND, first + 1, address,
		    (int)draw(generator, 16) - 1, 0);
	add(generator, DIFF_CONNECT, first + 1, first, address, 0);
	if (draw(generator, 12) == 0)
		add(generator, DIFF_SEND, first + 1, draw_bytes(generator), 0,
		    0);
	add(generator, DIFF_ACCEPT, first, first + 2,
	    draw(generator, 3) == 0, 0);
	if (draw(generator, 5))
		add(generator, DIFF_SET, first + 2, 13, 1, 0);
}

static void add_lifecycle(struct generator *generator)
{
	int slot = draw_slot(generator);

	switch (draw(generator, 14)) {
	case 0:
		add(generator, DIFF_SOCKET, draw_free(generator),
		    draw(generator, 3) ? 4 : 6, draw(generator, 2), 0);
		break;
	case 1:
		add(generator, DIFF_BIND, slot, (int)draw(generator, 4),
		    (int)draw(generator, 5) - 1, 0);
		break;
	case 2:
		add(generator, DIFF_LISTEN, slot, (int)draw(generator, 3), 0,
		    0);
		break;
	case 3:
		add(generator, DIFF_CONNECT, slot, draw(generator, 2) ? 0 :
		    draw_slot(generator), (int)draw(generator, 3), 0);
		break;
	case 4:
		slot = draw_free(generator);
		add(generator, DIFF_SOCKET, slot, draw(generator, 3) ? 4 : 6,
		    draw(generator, 2), 0);
		add(generator, DIFF_CONNECT_PORT, slot,
		    (int)draw(generator, DIFF_NR_PORTS),
		    (int)draw(generator, 3), 0);
		break;
	case 5:
		slot = draw_free(generator);
		add(generator, DIFF_SOCKET, slot, draw(generator, 3) ? 4 : 6,
		    draw(generator, 2), 0);
		add(generator, DIFF_CONNECT, slot, 0, 1, 0);
		break;
	case 6:
		if (draw(generator, 3) == 0)
			add(generator, DIFF_DISCONNECT, slot, 0, 0, 0);
		break;
	case 7:
	case 8:
		add(generator, DIFF_ACCEPT, draw(generator, 4) ? 0 : slot,
		    draw_free(generator), (int)draw(generator, 2), 0);
		break;
	case 9:
		add(generator, DIFF_CLOSE, slot, 0, 0, 0);
		break;
	case 10:
		add(generator, draw(generator, 2) ? DIFF_DUP : DIFF_PASS, slot,
		    draw_free(generator), 0, 0);
		break;
	case 11:
		add(generator, draw(generator, 2) ? DIFF_FORK_HOLD :
		    DIFF_FORK_END, 0, 0, 0, 0);
		break;
	default:
		add(generator, DIFF_SHUTDOWN, slot, (int)draw(generator, 3), 0,
		    0);
	}
}

static int draw_send_flags(struct generator *generator)
{
	static const int flags[] = { 0, 0, 0, 0, 0, 0, MSG_DONTWAIT,
				     MSG_DONTWAIT, MSG_DONTROUTE, MSG_EOR,
				     MSG_CONFIRM };

	switch (draw(generator, 50)) {
	case 0:
		return MSG_MORE;
	case 1 ... 3:
		return MSG_OOB;
	default:
		return DRAW_OF(generator, flags);
	}
}

static int draw_receive_flags(struct generator *generator)
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

static void add_transfer(struct generator *generator)
{
	int slot = draw_slot(generator), bytes = draw_bytes(generator);

	switch (draw(generator, 24)) {
	default:
		add(generator, DIFF_SEND, slot, bytes,
		    draw_send_flags(generator), (int)draw(generator, 6));
		break;
	case 9 ... 17:
		add(generator, DIFF_RECV, slot, bytes,
		    draw_receive_flags(generator), (int)draw(generator, 6));
		break;
	case 18:
		add(generator, DIFF_SPLICE_IN, slot, bytes,
		    draw(generator, 2) ? SPLICE_F_NONBLOCK : 0, 0);
		break;
	case 19:
		add(generator, DIFF_SPLICE_OUT, slot, bytes,
		    draw(generator, 2) ? SPLICE_F_NONBLOCK : 0, 0);
		break;
	case 20:
		add(generator, DIFF_SENDFILE, slot, bytes, 0, 0);
		break;
	case 21:
		if (draw(generator, 3) == 0)
			add(generator, DIFF_FORK_SEND, slot, bytes, 0, 0);
		break;
	case 22:
		if (draw(generator, 4) == 0)
			add(generator, DIFF_BULK, slot,
			    (int)draw(generator, 1 << 20), 0, 0);
		break;
	case 23:
		add(generator, DIFF_DRAIN, slot, 0, 0, 0);
		if (draw(generator, 10) == 0)
			add(generator, DIFF_FILL, slot, 0, 0, 0);
		break;
	}
}

static void add_option(struct generator *generator)
{
	static const int values[] = { 0, 0, 1, 1, 1, 2, 5, 20, 100, 5000,
				      100000, -1 };
	int slot = draw_slot(generator), option = (int)draw(generator, 34);

	switch (draw(generator, 8)) {
	case 0 ... 2:
		add(generator, DIFF_SET, slot, option,
		    DRAW_OF(generator, values), 0);
		break;
	case 3:
		add(generator, DIFF_GET, slot, 7, 0, 0);
		break;
	case 4:
		add(generator, DIFF_GET, slot, option, 0, 0);
		break;
	case 5:
		add(generator, DIFF_NAME, slot, (int)draw(generator, 2), 0, 0);
		break;
	case 6:
		add(generator, DIFF_IOCTL, slot, (int)draw(generator, 4), 0,
		    0);
		break;
	case 7:
		add(generator, DIFF_NONBLOCK, slot, (int)draw(generator, 2), 0,
		    0);
		break;
	}
}

static void add_wait(struct generator *generator)
{
	static const int events[] = { POLLIN, POLLOUT, POLLIN | POLLOUT,
		POLLRDHUP, POLLIN | POLLRDHUP, POLLPRI, 0,
		POLLIN | POLLOUT | POLLRDHUP | POLLPRI };
	static const int modes[] = { 0, 0, (int)EPOLLET, (int)EPOLLET,
				     (int)EPOLLONESHOT };
	static const int timeouts[] = { 0, 0, 0, 0, 20, -1 };
	int slot = draw_slot(generator), wanted = DRAW_OF(generator, events);

	switch (draw(generator, 14)) {
	case 0 ... 2:
		add(generator, DIFF_POLL, slot, wanted,
		    DRAW_OF(generator, timeouts), 0);
		break;
	case 3:
		add(generator, DIFF_SELECT, 0, 0, 0, 0);
		break;
	case 4 ... 5:
		add(generator, DIFF_EPOLL_ADD, slot,
		    wanted | DRAW_OF(generator, modes), 0, 0);
		break;
	case 6:
		add(generator, DIFF_EPOLL_MOD, slot,
		    wanted | DRAW_OF(generator, modes), 0, 0);
		break;
	case 7:
		add(generator, DIFF_EPOLL_DEL, slot, 0, 0, 0);
		break;
	case 8 ... 10:
		add(generator, DIFF_EPOLL_WAIT, 0, 0, 0, 0);
		break;
	case 11:
		add(generator, DIFF_INTERRUPT, (int)draw(generator, 2), 0, 0,
		    0);
		break;
	case 12:
		add(generator, DIFF_SIGIO, slot, (int)draw(generator, 3) > 0,
		    0, 0);
		break;
	case 13:
		add(generator, DIFF_SIGIO_WAIT, 0, 0, 0, 0);
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
	struct generator generator = {
		/* Never 0, and near seeds far apart. */
		.state = (seed + 1) * 0x9e3779b97f4a7c15ULL | 1,
		.sequence = ret_sequence,
	};
	unsigned int i, nr;

	ret_sequence->nr = 0;
	for (i = 0; i < 8; i++)
		draw(&generator, 2);
	add_group(&generator, 0);
	if (draw(&generator, 3) == 0)
		add_group(&generator, 3);
	nr = 10 + draw(&generator, 50);
	for (i = 0; i < nr; i++) {
		switch (draw(&generator, 10)) {
		case 0 ... 1:
			add_lifecycle(&generator);
			break;
		case 2 ... 6:
			add_transfer(&generator);
			break;
		case 7:
			add_option(&generator);
			break;
		case 8 ... 9:
			add_wait(&generator);
			break;
		}
	}
}
