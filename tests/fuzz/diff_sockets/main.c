// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plays random sequences of socket calls on two kinds of socket at once and
 * compares everything that a program can see. A sequence that differs is
 * shortened and written to a file, which can be played again.
 *
 * usage: diff_sockets [options] [FILE...]		see usage()
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include "player.h"

#define PROTOCOL_CIRCUIT	261

/* How often it tells how far it is. */
#define PROGRESS_S	15

static const char usage[] =
"usage: diff_sockets [options] [FILE...]\n"
"Play FILEs, or random sequences, on two kinds of socket; compare.\n"
"  --operations=N   random ones, about that many (5000)\n"
"  --seed=N         of the first sequence; each has the next (1)\n"
"  --players=N      so many sequences at once (1)\n"
"  --datagrams      of datagram sockets\n"
"  --left=KIND      circuit or tcp: the thing under test (circuit)\n"
"  --save=DIR       where sequences that differ are kept (.)\n"
"  --no-shrink      keep them as they are\n"
"  --trace          tell each step\n"
"  --print          print the sequence of the seed, play nothing\n"
"The other kind is TCP. Both are taken as socket(2) gives them for their\n"
"protocol numbers, so no redirect may be in force for this process.\n";

/* All that they have played together. */
static struct diff_tally tally_sum(const struct diff_score *all)
{
	const struct diff_tally *tally = all->tallies;
	struct diff_tally sum = { 0 };
	unsigned int player, kind;

	for (player = 0; player < DIFF_MAX_PLAYERS; player++, tally++) {
		sum.nr_operations += tally->nr_operations;
		sum.nr_left_out += tally->nr_left_out;
		sum.nr_blocked += tally->nr_blocked;
		sum.nr_connections += tally->nr_connections;
		for (kind = 0; kind < DIFF_NR_KINDS; kind++)
			sum.by_kind[kind] += tally->by_kind[kind];
	}
	return sum;
}

static void tally_print(const struct diff_tally *tally)
{
	unsigned int kind;

	printf("by kind:");
	for (kind = 0; kind < DIFF_NR_KINDS; kind++)
		printf(" %s %lu", diff_kind_name(kind), tally->by_kind[kind]);
	printf("\n%lu operations, %lu left out, %lu waited, %lu connections\n",
	       diff_tally_played(tally), tally->nr_left_out,
	       tally->nr_blocked, tally->nr_connections);
}

static void progress_print(const struct diff_task *task,
			   const struct diff_score *all)
{
	printf("%lu of %lu operations, %lu sequences differ\n",
	       atomic_load(&all->nr_operations), task->nr_wanted,
	       atomic_load(&all->nr_different));
	fflush(stdout);
}

static void players_start(const struct diff_task *task,
			  struct diff_score *all)
{
	struct diff_player player;
	unsigned int number;
	pid_t child;

	fflush(stdout);
	for (number = 0; number < task->nr_players; number++) {
		child = fork();
		if (child < 0) {
			perror("diff_sockets");
			exit(2);
		}
		if (child)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		diff_player_make(&player, task, all, number);
		diff_player_play(&player);
		exit(0);
	}
}

static void play_random(const struct diff_task *task,
			struct diff_score *all)
{
	struct timespec patience = { .tv_sec = PROGRESS_S };
	unsigned long long first = task->seed, next;
	sigset_t ended;
	pid_t child;
	int status;

	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ended, NULL);
	players_start(task, all);
	while ((child = waitpid(-1, &status, WNOHANG)) >= 0) {
		if (child && (!WIFEXITED(status) || WEXITSTATUS(status)))
			exit(2);
		if (!child && sigtimedwait(&ended, NULL, &patience) < 0 &&
		    errno == EAGAIN)
			progress_print(task, all);
	}
	next = atomic_load(&all->next_seed);
	printf("%llu sequences, seeds %llu to %llu\n", next - first, first,
	       next - 1);
}

static void play_files(const struct diff_task *task,
		       struct diff_score *all, char **paths)
{
	struct diff_player player;

	diff_player_make(&player, task, all, 0);
	for (; *paths; paths++)
		diff_player_play_file(&player, *paths);
}

static int options_read(struct diff_task *task, int argc, char **argv,
			bool *ret_print)
{
	static const struct option options[] = {
		{ "operations", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{ "players", required_argument, NULL, 'm' },
		{ "datagrams", no_argument, NULL, 'g' },
		{ "left", required_argument, NULL, 'l' },
		{ "save", required_argument, NULL, 'd' },
		{ "no-shrink", no_argument, NULL, 'q' },
		{ "trace", no_argument, NULL, 't' },
		{ "print", no_argument, NULL, 'p' },
		{ }
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (option) {
		case 'n':
			task->nr_wanted = strtoul(optarg, NULL, 10);
			break;
		case 's':
			task->seed = strtoull(optarg, NULL, 10);
			break;
		case 'm':
			task->nr_players = (unsigned int)atoi(optarg);
			break;
		case 'g':
			task->generate = diff_generate_datagrams;
			break;
		case 'l':
			task->protocols[DIFF_LEFT] = strcmp(optarg, "tcp") ?
				PROTOCOL_CIRCUIT : IPPROTO_TCP;
			break;
		case 'd':
			task->directory = optarg;
			break;
		case 'q':
			task->is_quick = true;
			break;
		case 't':
			task->with_trace = true;
			break;
		case 'p':
			*ret_print = true;
			break;
		default:
			return -1;
		}
	}
	return task->nr_players - 1 < DIFF_MAX_PLAYERS ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct diff_task task = {
		.protocols = { PROTOCOL_CIRCUIT, IPPROTO_TCP },
		.generate = diff_generate, .nr_wanted = 5000, .seed = 1,
		.directory = ".", .nr_players = 1,
	};
	struct diff_score *all = diff_shared(sizeof(*all));
	struct diff_sequence sequence;
	bool print_only = false;
	struct diff_tally tally;

	if (options_read(&task, argc, argv, &print_only)) {
		fputs(usage, stderr);
		return 2;
	}
	if (print_only) {
		task.generate(task.seed, &sequence);
		diff_sequence_write(stdout, &sequence);
		return 0;
	}
	atomic_store(&all->next_seed, task.seed);
	if (optind < argc)
		play_files(&task, all, argv + optind);
	else
		play_random(&task, all);
	tally = tally_sum(all);
	tally_print(&tally);
	printf("%lu sequences differ\n", atomic_load(&all->nr_different));
	return atomic_load(&all->nr_different) ? 1 : 0;
}
