// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Calls that may block run in threads of their own, one for each side. Whether
 * one does block is what the kernel says of the thread: it sleeps, and sleeps
 * on. If the two sides do not agree there is time for the slower one.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "actor.h"

/* A call is taken for blocked after so many looks in a row found it asleep. */
#define LOOKS		3
#define LOOK_US		300

/* What the slower side has: longer than TCP's second and third SYN. */
#define PATIENCE_MS	8000

#define OWN_FDS		512

/* Looks without a pause, for what ends at once. */
#define QUICK_LOOKS	12

/**
 * diff_milliseconds - the time, for deadlines
 */
long diff_milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *actor_run(void *argument)
{
	struct diff_actor *actor = argument;

	atomic_store(&actor->tid, gettid());
	for (;;) {
		while (sem_wait(&actor->start))
			;
		diff_call_run(&actor->call);
		atomic_store(&actor->is_done, true);
	}
	return NULL;
}

static void actor_make(struct diff_actor *actor)
{
	char path[64];
	int fd;

	sem_init(&actor->start, 0, 0);
	if (pthread_create(&actor->thread, NULL, actor_run, actor))
		abort();
	while (!atomic_load(&actor->tid))
		sched_yield();
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall",
		 atomic_load(&actor->tid));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* Where no call finds it that has lost its own. */
	actor->looking = fcntl(fd, F_DUPFD_CLOEXEC, OWN_FDS);
	close(fd);
	if (actor->looking < 0) {
		perror(path);
		exit(2);
	}
}

/**
 * diff_pair_start - begin an operation on both sides
 * @pair: not busy
 * @calls: one for each side, copied
 */
void diff_pair_start(struct diff_pair *pair, const struct diff_call *calls)
{
	unsigned int side;

	for (side = 0; side < DIFF_NR_SIDES; side++) {
		if (!pair->is_made)
			actor_make(&pair->actors[side]);
		pair->actors[side].call = calls[side];
		atomic_store(&pair->actors[side].is_done, false);
		sem_post(&pair->actors[side].start);
	}
	pair->is_made = true;
	pair->is_busy = true;
	pair->is_stale = false;
}

/*
 * Whether the kernel says that the thread sleeps: it tells the system call of
 * one that does, and "running" of another. None sleeps in a futex but who has
 * not begun, or waits for memory of the C library's.
 */
static bool actor_sleeps(const struct diff_actor *actor)
{
	char text[128];
	long n = pread(actor->looking, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	return isdigit((unsigned char)text[0]) &&
	       strtol(text, NULL, 10) != SYS_futex;
}

/**
 * diff_pair_is_done - whether both sides are done
 * @pair: busy, and stays so
 */
bool diff_pair_is_done(struct diff_pair *pair)
{
	return atomic_load(&pair->actors[DIFF_LEFT].is_done) &&
	       atomic_load(&pair->actors[DIFF_RIGHT].is_done);
}

/**
 * diff_pair_wait - wait until both sides are done, or both sleep on
 * @pair: busy; no longer if both are done
 */
enum diff_progress diff_pair_wait(struct diff_pair *pair)
{
	struct diff_actor *actors = pair->actors;
	long end = diff_milliseconds() + PATIENCE_MS;
	unsigned int looks = 0, quick = QUICK_LOOKS;
	bool left, right;

	for (;;) {
		left = atomic_load(&actors[DIFF_LEFT].is_done);
		right = atomic_load(&actors[DIFF_RIGHT].is_done);
		if (left && right) {
			pair->is_busy = false;
			return DIFF_BOTH_DONE;
		}
		if (quick) {
			quick--;
			sched_yield();
			continue;
		}
		if (!left && !right) {
			looks = actor_sleeps(&actors[DIFF_LEFT]) &&
				actor_sleeps(&actors[DIFF_RIGHT]) ?
				looks + 1 : 0;
			if (looks == LOOKS)
				return DIFF_BOTH_BLOCKED;
		} else if (diff_milliseconds() > end) {
			return DIFF_ONE_DONE;
		}
		usleep(LOOK_US);
	}
}

/**
 * diff_pair_begins_otherwise - whether its calls, begun again, may differ
 * @pair: busy
 *
 * By another descriptor, or by what went into a full buffer: a call that has
 * done something ends.
 */
bool diff_pair_begins_otherwise(const struct diff_pair *pair)
{
	return pair->is_stale || pair->actors[DIFF_LEFT].call.was_full;
}

/**
 * diff_pair_signal - disturb the calls of a pair
 * @pair: busy
 * @number: of a signal that has a handler
 */
void diff_pair_signal(struct diff_pair *pair, int number)
{
	unsigned int side;

	for (side = 0; side < DIFF_NR_SIDES; side++)
		pthread_kill(pair->actors[side].thread, number);
}
