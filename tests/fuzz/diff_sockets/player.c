// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A player takes one seed after the other, plays its sequence in a process of
 * its own, and shortens and keeps what differs. Players share nothing but the
 * count of what is played, and may be many: a sequence waits more than it
 * computes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "player.h"
#include "shrink.h"

#define PLAY_MS		120000

struct diff_verdict {
	bool is_same;
	char message[DIFF_MESSAGE_BYTES * 2];
};

/**
 * diff_shared - memory that is the same in child processes
 * @bytes: how much
 *
 * Ends the program if there is none.
 */
void *diff_shared(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("diff_sockets");
		exit(2);
	}
	return memory;
}

/**
 * diff_player_make - before it plays
 * @ret_player: overwritten
 * @task: what to play
 * @all: what all players share
 * @number: of this one, below the task's nr_players
 */
void diff_player_make(struct diff_player *ret_player,
		      const struct diff_task *task,
		      struct diff_score *all, unsigned int number)
{
	*ret_player = (struct diff_player){
		.task = task, .all = all, .tally = &all->tallies[number],
		.verdict = diff_shared(sizeof(*ret_player->verdict)),
	};
	diff_ports_divide(&ret_player->ports, number, task->nr_players);
}

static void child_play(struct diff_player *player,
		       const struct diff_sequence *sequence, bool with_trace,
		       unsigned int first_port)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	player->verdict->is_same = diff_play(sequence, player->task->protocols,
		first_port, with_trace ? stdout : NULL, player->tally,
		player->verdict->message);
	fflush(stdout);
	_exit(0);
}

/* Wait for the child that plays; one that hangs or crashes has differed. */
static void child_await(struct diff_player *player, pid_t child, int pidfd)
{
	struct pollfd poller = { .fd = pidfd, .events = POLLIN };
	char *message = player->verdict->message;
	int status;

	if (!poll(&poller, 1, PLAY_MS)) {
		kill(child, SIGKILL);
		player->verdict->is_same = false;
		strcat(message, "hangs");
	}
	waitpid(child, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status))
		exit(WEXITSTATUS(status));
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
		player->verdict->is_same = false;
		sprintf(message + strlen(message), "ends with signal %d",
			WTERMSIG(status));
	}
}

static bool play_once(struct diff_player *player,
		      const struct diff_sequence *sequence, bool with_trace)
{
	unsigned int first_port = diff_ports_take(&player->ports, sequence,
						  player->task->protocols);
	int ends[2];
	pid_t child;

	/* Its end is the child's: the pipe closes with it. */
	if (pipe2(ends, O_CLOEXEC)) {
		perror("diff_sockets");
		exit(2);
	}
	player->verdict->is_same = false;
	player->verdict->message[0] = '\0';
	child = fork();
	if (!child) {
		close(ends[0]);
		child_play(player, sequence, with_trace, first_port);
	}
	close(ends[1]);
	child_await(player, child, ends[0]);
	close(ends[0]);
	return !player->verdict->is_same;
}

/* For the shrinker. */
static bool differs(const struct diff_sequence *sequence, void *player)
{
	return play_once(player, sequence, false);
}

static void save(const struct diff_player *player, FILE *report,
		 const struct diff_sequence *sequence, unsigned long long seed)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%llu.ops", player->task->directory,
		 seed);
	file = fopen(path, "w");
	if (!file) {
		perror(path);
		return;
	}
	fprintf(file, "# %s\n", player->verdict->message);
	diff_sequence_write(file, sequence);
	fclose(file);
	fprintf(report, "saved as %s\n", path);
}

/* In one piece, for other players report, too. */
static void report(struct diff_player *player, struct diff_sequence *sequence,
		   unsigned long long seed)
{
	char first[sizeof(player->verdict->message)], *text;
	struct diff_tally tally = *player->tally;
	size_t bytes;
	FILE *file = open_memstream(&text, &bytes);

	if (!file)
		abort();
	strcpy(first, player->verdict->message);
	fprintf(file, "DIFFERENCE, seed %llu: %s\n", seed, first);
	if (!player->task->is_quick) {
		diff_shrink(sequence, differs, player);
		if (!play_once(player, sequence, false))
			strcpy(player->verdict->message, first);
		/* What was played for that is not what was asked for. */
		*player->tally = tally;
	}
	fprintf(file, "%u operations: %s\n", sequence->nr,
		player->verdict->message);
	diff_sequence_write(file, sequence);
	save(player, file, sequence, seed);
	fclose(file);
	fwrite(text, 1, bytes, stdout);
	fflush(stdout);
	free(text);
}

/**
 * diff_player_play - random sequences, until all players have played enough
 * @player: which
 */
void diff_player_play(struct diff_player *player)
{
	const struct diff_task *task = player->task;
	struct diff_sequence sequence;
	unsigned long long seed;
	unsigned long before;

	while (atomic_load(&player->all->nr_operations) < task->nr_wanted) {
		seed = atomic_fetch_add(&player->all->next_seed, 1);
		task->generate(seed, &sequence);
		before = diff_tally_played(player->tally);
		if (play_once(player, &sequence, task->with_trace)) {
			atomic_fetch_add(&player->all->nr_different, 1);
			report(player, &sequence, seed);
		}
		atomic_fetch_add(&player->all->nr_operations,
				 diff_tally_played(player->tally) - before);
	}
}

/**
 * diff_player_play_file - a sequence that was kept
 * @player: which
 * @path: of the file
 */
void diff_player_play_file(struct diff_player *player, const char *path)
{
	struct diff_sequence sequence;
	FILE *file = fopen(path, "r");
	int line;

	if (!file) {
		perror(path);
		exit(2);
	}
	line = diff_sequence_read(file, &sequence);
	fclose(file);
	if (line) {
		fprintf(stderr, "%s:%d: not an operation\n", path, line);
		exit(2);
	}
	if (play_once(player, &sequence, player->task->with_trace)) {
		atomic_fetch_add(&player->all->nr_different, 1);
		printf("DIFFERENCE, %s: %s\n", path, player->verdict->message);
	}
}
