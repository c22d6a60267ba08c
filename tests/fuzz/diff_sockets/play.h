/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DIFF_PLAY_H
#define DIFF_PLAY_H

#include "judge.h"

/* What the plays of a run have done; in memory shared with the parent. */
struct diff_tally {
	unsigned long nr_operations, nr_left_out, nr_blocked, nr_connections;
	unsigned long by_kind[DIFF_NR_KINDS];
};

/* What was played, without what made no sense where it stood. */
static inline unsigned long diff_tally_played(const struct diff_tally *tally)
{
	return tally->nr_operations - tally->nr_left_out;
}

bool diff_play(const struct diff_sequence *sequence, const int *protocols,
	       unsigned int first_port, FILE *trace, struct diff_tally *tally,
	       char *ret_message);

#endif /* DIFF_PLAY_H */
