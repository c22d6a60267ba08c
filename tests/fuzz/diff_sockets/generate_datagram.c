// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random sequences of datagram sockets, as those of generate.c. Slot 0 has a
 * port, 1 to 3 send to it, connected or not, and it may answer.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include "draw.h"
#include "generate.h"
#include "world.h"

/* All of option.c's. */
#define NR_OPTIONS	40

#define DRAW_OF(generator, values) \
	diff_draw_of(generator, values, DIFF_ARRAY_SIZE(values))

static int draw_slot(struct diff_generator *generator)
{
	static const int slots[] = { 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 4, 5, 6 };

	return DRAW_OF(generator, slots);
}

static int draw_bytes(struct diff_generator *generator)
{
	static const int bytes[] = { 0, 1, 1, 2, 5, 17, 64, 100, 255, 1000,
		1400, 1472, 1473, 4096, 5000, 9000, 20000, 65487, 65507, 65508,
		65527, 65528 };

	return DRAW_OF(generator, bytes);
}

static void add_socket(struct diff_generator *generator, int slot)
{
	diff_draw_add(generator, DIFF_DATAGRAM, slot,
		      diff_draw(generator, 3) ? 4 : 6,
		      diff_draw(generator, 3) == 0, 0);
}

/* One that others send to, and some who do. */
static void add_group(struct diff_generator *generator)
{
	int family = diff_draw(generator, 3) ? 4 : 6, other, address, i;
	bool is_any = diff_draw(generator, 3) == 0;

	diff_draw_add(generator, DIFF_DATAGRAM, 0, family,
		      diff_draw(generator, 3) == 0, 0);
	diff_draw_add(generator, DIFF_BIND, 0, is_any ? 0 : 1,
		      diff_draw(generator, 2) ? -1 :
						(int)diff_draw(generator, 8),
		      0);
	for (i = 1; i < 4; i++) {
		if (i > 1 && diff_draw(generator, 2))
			continue;
		other = family == 6 || diff_draw(generator, 4) ? family : 6;
		address = family == 4 && other == 6 ? 2 : 1;
		diff_draw_add(generator, DIFF_DATAGRAM, i, other,
			      diff_draw(generator, 3) == 0, 0);
		if (diff_draw(generator, 4) == 0)
			diff_draw_add(generator, DIFF_BIND, i, address,
				      (int)diff_draw(generator, 16) - 1, 0);
		if (diff_draw(generator, 3))
			diff_draw_add(generator, DIFF_CONNECT, i, 0, address,
				      0);
		diff_draw_add(generator, DIFF_SEND_TO, i, draw_bytes(generator),
			      0, address);
		if (diff_draw(generator, 3) == 0)
			diff_draw_add(generator, DIFF_CONNECT, 0, i, address,
				      0);
	}
}

static void add_lifecycle(struct diff_generator *generator)
{
	int slot = draw_slot(generator);

	switch (diff_draw(generator, 14)) {
	case 0 ... 1:
		add_socket(generator, slot);
		break;
	case 2:
		diff_draw_add(generator, DIFF_BIND, slot,
			      (int)diff_draw(generator, 4),
			      (int)diff_draw(generator, 9) - 1, 0);
		break;
	case 3 ... 5:
		diff_draw_add(generator, DIFF_CONNECT, slot,
			      draw_slot(generator),
			      (int)diff_draw(generator, 3), 0);
		break;
	case 6:
		diff_draw_add(generator, DIFF_CONNECT_PORT, slot,
			      (int)diff_draw(generator, DIFF_NR_PORTS),
			      (int)diff_draw(generator, 4), 0);
		break;
	case 7 ... 8:
		diff_draw_add(generator, DIFF_DISCONNECT, slot, 0, 0, 0);
		break;
	case 9 ... 10:
		diff_draw_add(generator, DIFF_CLOSE, slot, 0, 0, 0);
		break;
	case 11:
		diff_draw_add(generator,
			      diff_draw(generator, 2) ? DIFF_DUP : DIFF_PASS,
			      slot, draw_slot(generator), 0, 0);
		break;
	case 12:
		diff_draw_add(generator,
			      diff_draw(generator, 2) ? DIFF_LISTEN :
							DIFF_ACCEPT,
			      slot, draw_slot(generator), 0, 0);
		break;
	case 13:
		diff_draw_add(generator, DIFF_SHUTDOWN, slot,
			      (int)diff_draw(generator, 3), 0, 0);
		break;
	}
}

static void add_send(struct diff_generator *generator)
{
	static const int flags[] = { 0, 0, 0, 0, 0, 0, MSG_DONTWAIT,
		MSG_DONTWAIT, MSG_DONTROUTE, MSG_CONFIRM, MSG_MORE, MSG_OOB };
	static const int parts[] = { 100, 100, 1000, 1400, 1472, 5000 };
	int slot = draw_slot(generator), bytes = draw_bytes(generator);

	switch (diff_draw(generator, 12)) {
	case 0 ... 4:
		diff_draw_add(generator, DIFF_SEND, slot, bytes,
			      DRAW_OF(generator, flags),
			      (int)diff_draw(generator, 6));
		break;
	case 5 ... 8:
		diff_draw_add(generator, DIFF_SEND_TO, slot, bytes,
			      draw_slot(generator),
			      (int)diff_draw(generator, 3));
		break;
	case 9:
		diff_draw_add(generator, DIFF_SEND_PARTS, slot, bytes,
			      DRAW_OF(generator, parts), 0);
		break;
	case 10:
		diff_draw_add(generator, DIFF_SPLICE_IN, slot, bytes,
			      diff_draw(generator, 2) ? SPLICE_F_NONBLOCK : 0,
			      0);
		break;
	case 11:
		diff_draw_add(generator,
			      diff_draw(generator, 2) ? DIFF_SENDFILE :
							DIFF_FORK_SEND,
			      slot, bytes, 0, 0);
		break;
	}
}

static void add_receive(struct diff_generator *generator)
{
	int slot = draw_slot(generator);

	switch (diff_draw(generator, 10)) {
	case 0 ... 6:
		diff_draw_add(generator, DIFF_RECV, slot, draw_bytes(generator),
			      diff_draw_receive_flags(generator),
			      (int)diff_draw(generator, 6));
		break;
	case 7:
		diff_draw_add(generator, DIFF_SPLICE_OUT, slot,
			      draw_bytes(generator),
			      diff_draw(generator, 2) ? SPLICE_F_NONBLOCK : 0,
			      0);
		break;
	case 8 ... 9:
		diff_draw_add(generator, DIFF_DRAIN, slot, 0, 0, 0);
		break;
	}
}

/**
 * diff_generate_datagrams - draw a sequence
 * @seed: any
 * @ret_sequence: overwritten
 */
void diff_generate_datagrams(uint64_t seed, struct diff_sequence *ret_sequence)
{
	struct diff_generator generator;
	unsigned int i, nr;

	diff_draw_begin(&generator, seed, ret_sequence);
	add_group(&generator);
	nr = 10 + diff_draw(&generator, 50);
	for (i = 0; i < nr; i++) {
		switch (diff_draw(&generator, 10)) {
		case 0 ... 1:
			add_lifecycle(&generator);
			break;
		case 2 ... 4:
			add_send(&generator);
			break;
		case 5 ... 7:
			add_receive(&generator);
			break;
		case 8:
			diff_draw_option(&generator, draw_slot(&generator),
					 NR_OPTIONS);
			break;
		case 9:
			diff_draw_wait(&generator, draw_slot(&generator));
			break;
		}
	}
}
