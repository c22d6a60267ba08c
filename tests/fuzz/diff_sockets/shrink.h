/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DIFF_SHRINK_H
#define DIFF_SHRINK_H

#include <stdbool.h>
#include "sequence.h"

/* Whether a sequence still differs. */
typedef bool (*diff_differs_fn)(const struct diff_sequence *sequence,
				void *argument);

void diff_shrink(struct diff_sequence *sequence, diff_differs_fn differs,
		 void *argument);

#endif /* DIFF_SHRINK_H */
