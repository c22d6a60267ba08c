// SPDX-License-Identifier: GPL-2.0-or-later
/* Delta debugging: the shortest part of a sequence that still differs. */
#include <string.h>
#include "shrink.h"

static void without(const struct diff_sequence *from, unsigned int at,
		    unsigned int nr, struct diff_sequence *ret_rest)
{
	*ret_rest = *from;
	memmove(&ret_rest->operations[at], &from->operations[at + nr],
		(from->nr - at - nr) * sizeof(from->operations[0]));
	ret_rest->nr = from->nr - nr;
}

/**
 * diff_shrink - leave out what is not needed for a difference
 * @sequence: differs; no operation can be left out of what it becomes
 * @differs: asked many times
 * @argument: its second one
 */
void diff_shrink(struct diff_sequence *sequence, diff_differs_fn differs,
		 void *argument)
{
	unsigned int part = sequence->nr / 2, at, nr;
	struct diff_sequence rest;
	bool is_shorter;

	while (part) {
		is_shorter = false;
		/* From the end: what follows the difference goes first. */
		for (at = sequence->nr; at > 0;) {
			nr = part < at ? part : at;
			at -= nr;
			without(sequence, at, nr, &rest);
			if (differs(&rest, argument)) {
				*sequence = rest;
				is_shorter = true;
			}
		}
		if (!is_shorter)
			part /= 2;
		else if (part > sequence->nr)
			part = sequence->nr;
	}
}
