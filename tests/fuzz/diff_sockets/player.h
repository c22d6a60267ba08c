/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DIFF_PLAYER_H
#define DIFF_PLAYER_H

#include <stdatomic.h>
#include "generate.h"
#include "play.h"
#include "ports.h"

#define DIFF_MAX_PLAYERS	32

/* What all players are asked for. */
struct diff_task {
	int protocols[DIFF_NR_SIDES];
	diff_generate_fn generate;
	unsigned long nr_wanted;
	unsigned long long seed;
	const char *directory;	/* for what differs */
	bool with_trace, is_quick;
	unsigned int nr_players;
};

/* How far they are; in memory that all share. */
struct diff_score {
	atomic_ullong next_seed;
	atomic_ulong nr_operations, nr_different;
	struct diff_tally tallies[DIFF_MAX_PLAYERS];
};

/* Plays sequences, one after the other, each in a process of its own. */
struct diff_player {
	const struct diff_task *task;
	struct diff_score *all;
	struct diff_tally *tally;	/* its own, of these */
	struct diff_ports ports;
	struct diff_verdict *verdict;	/* of the last, shared with its process */
};

void diff_player_make(struct diff_player *ret_player,
		      const struct diff_task *task,
		      struct diff_score *all, unsigned int number);
void diff_player_play(struct diff_player *player);
void diff_player_play_file(struct diff_player *player, const char *path);
void *diff_shared(size_t bytes);

#endif /* DIFF_PLAYER_H */
