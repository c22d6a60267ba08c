// SPDX-License-Identifier: GPL-2.0-or-later
/* Signals: those that disturb calls, and those that sockets send. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "actor.h"
#include "judge.h"
#include "signals.h"

#define SIGIO_MS	2000
#define OWED_MS		50

static atomic_bool signals[DIFF_NR_SIDES];

static void note_signal(int number)
{
	atomic_store(&signals[number - SIGRTMIN], true);
}

static void ignore_signal(int number)
{
}

/**
 * diff_signals_catch - handle all that come
 *
 * SIGUSR1 ends calls, SIGUSR2 lets them go on, SIGRTMIN and the next are what
 * sockets of the left and the right send.
 */
void diff_signals_catch(void)
{
	struct sigaction action = { .sa_handler = ignore_signal };

	sigaction(SIGUSR1, &action, NULL);
	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR2, &action, NULL);
	action.sa_handler = note_signal;
	sigaction(SIGRTMIN + DIFF_LEFT, &action, NULL);
	sigaction(SIGRTMIN + DIFF_RIGHT, &action, NULL);
}

/**
 * diff_signals_agree - wait until both sides' sockets have sent signals, or not
 * @has_circuits: on the left
 * @ret_message: as in diff_judge_calls()
 *
 * They are forgotten. A circuit asks for a bell and takes what it can without.
 * So it tells neither of data that was taken before the bell was heard, nor of
 * more where some lay when O_ASYNC was set: doc/socket-semantics.md. One that
 * only comes late is remembered as owed.
 */
bool diff_signals_agree(bool has_circuits, char *ret_message)
{
	static unsigned int nr_owed;
	long begin = diff_milliseconds(), waited;
	bool left, right;

	do {
		left = atomic_load(&signals[DIFF_LEFT]);
		right = atomic_load(&signals[DIFF_RIGHT]);
		waited = diff_milliseconds() - begin;
		if (left == right || (left && nr_owed) ||
		    (right && has_circuits && waited > OWED_MS))
			break;
		usleep(1000);
	} while (waited < SIGIO_MS);
	atomic_store(&signals[DIFF_LEFT], false);
	atomic_store(&signals[DIFF_RIGHT], false);
	if (left == right)
		return true;
	if (right && has_circuits) {
		nr_owed++;
		return true;
	}
	if (left && nr_owed) {
		nr_owed--;
		return true;
	}
	snprintf(ret_message, DIFF_MESSAGE_BYTES, "a signal on the %s only",
		 left ? "left" : "right");
	return false;
}
