/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DIFF_ACTOR_H
#define DIFF_ACTOR_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include "call.h"

/* A thread for calls that may block. */
struct diff_actor {
	struct diff_call call;
	pthread_t thread;
	sem_t start;
	atomic_int tid;
	int looking;		/* at what the kernel says it does */
	atomic_bool is_done;
};

/* Two of them, for the same operation on both sides. */
struct diff_pair {
	struct diff_actor actors[DIFF_NR_SIDES];
	bool is_made, is_busy;
	bool is_stale;		/* its descriptor was closed */
};

enum diff_progress {
	DIFF_BOTH_DONE,
	DIFF_BOTH_BLOCKED,
	DIFF_ONE_DONE,		/* and the other did not follow */
};

void diff_pair_start(struct diff_pair *pair, const struct diff_call *calls);
enum diff_progress diff_pair_wait(struct diff_pair *pair);
bool diff_pair_is_done(struct diff_pair *pair);
bool diff_pair_begins_otherwise(const struct diff_pair *pair);
void diff_pair_signal(struct diff_pair *pair, int number);
long diff_milliseconds(void);

#endif /* DIFF_ACTOR_H */
