// SPDX-License-Identifier: GPL-2.0-or-later
/* Random numbers, the same for the same seed, and a sequence that grows. */
#include "draw.h"

/**
 * diff_draw_begin - an empty sequence
 * @generator: overwritten
 * @seed: any
 * @ret_sequence: overwritten, and added to from now on
 */
void diff_draw_begin(struct diff_generator *generator, uint64_t seed,
		     struct diff_sequence *ret_sequence)
{
	unsigned int i;

	/* Never 0, and near seeds far apart. */
	generator->state = (seed + 1) * 0x9e3779b97f4a7c15ULL | 1;
	generator->sequence = ret_sequence;
	ret_sequence->nr = 0;
	for (i = 0; i < 8; i++)
		diff_draw(generator, 2);
}

/**
 * diff_draw - a random number
 * @generator: begun
 * @below: not 0
 */
unsigned int diff_draw(struct diff_generator *generator, unsigned int below)
{
	generator->state ^= generator->state << 13;
	generator->state ^= generator->state >> 7;
	generator->state ^= generator->state << 17;
	return (unsigned int)(generator->state >> 33) % below;
}

/**
 * diff_draw_of - one of several values
 * @generator: begun
 * @values: which
 * @nr: of them
 */
int diff_draw_of(struct diff_generator *generator, const int *values,
		 unsigned int nr)
{
	return values[diff_draw(generator, nr)];
}

/**
 * diff_draw_add - an operation, unless the sequence is full
 * @generator: begun
 * @kind: of the operation
 * @first: argument
 * @second: argument
 * @third: argument
 * @fourth: argument; 0 where there are fewer
 */
void diff_draw_add(struct diff_generator *generator, enum diff_kind kind,
		   int first, int second, int third, int fourth)
{
	struct diff_sequence *sequence = generator->sequence;

	if (sequence->nr == DIFF_MAX_OPERATIONS)
		return;
	sequence->operations[sequence->nr++] = (struct diff_operation){
		kind, { first, second, third, fourth } };
}
