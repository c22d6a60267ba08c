/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DIFF_DRAW_H
#define DIFF_DRAW_H

#include "sequence.h"

#define DIFF_ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Random numbers, and the sequence that is made of them. */
struct diff_generator {
	uint64_t state;
	struct diff_sequence *sequence;
};

void diff_draw_begin(struct diff_generator *generator, uint64_t seed,
		     struct diff_sequence *ret_sequence);
unsigned int diff_draw(struct diff_generator *generator, unsigned int below);
int diff_draw_of(struct diff_generator *generator, const int *values,
		 unsigned int nr);
void diff_draw_add(struct diff_generator *generator, enum diff_kind kind,
		   int first, int second, int third, int fourth);

/* What streams and datagrams have in common; see generate.c. */
int diff_draw_receive_flags(struct diff_generator *generator);
void diff_draw_option(struct diff_generator *generator, int slot,
		      unsigned int nr_options);
void diff_draw_wait(struct diff_generator *generator, int slot);

#endif /* DIFF_DRAW_H */
