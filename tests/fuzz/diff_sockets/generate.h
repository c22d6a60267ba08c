/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DIFF_GENERATE_H
#define DIFF_GENERATE_H

#include "sequence.h"

/* Draws a sequence that is the same for the same seed. */
typedef void (*diff_generate_fn)(uint64_t seed,
				 struct diff_sequence *ret_sequence);

void diff_generate(uint64_t seed, struct diff_sequence *ret_sequence);
void diff_generate_datagrams(uint64_t seed,
			     struct diff_sequence *ret_sequence);

#endif /* DIFF_GENERATE_H */
