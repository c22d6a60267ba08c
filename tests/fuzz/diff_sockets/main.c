// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plays random sequences of socket calls on two kinds of socket at once and
 * compares everything that a program can see. A sequence that differs is
 * shortened and written to a file, which can be played again.
 *
 * usage: diff_sockets [options] [FILE...]		see usage()
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "actor.h"
#include "generate.h"
#include "play.h"
#include "shrink.h"

#define PROTOCOL_CIRCUIT	261

/* Ports below those that the kernel gives out; a sequence has 32 of them. */
#define FIRST_PORT	10000U
#define NR_PORT_RANGES	600U
#define PLAY_MS		120000

struct run {
	int protocols[DIFF_NR_SIDES];
	diff_generate_fn generate;
	unsigned long nr_wanted;
	unsigned long long seed;
	const char *directory;	/* for what differs */
	bool with_trace, is_quick;
	unsigned int nr_plays;
	struct diff_tally *tally;	/* shared with children */
	struct {
		bool is_same;
		char message[DIFF_MESSAGE_BYTES * 2];
	} *verdict;		/* likewise */
};

static const char usage[] =
"usage: diff_sockets [options] [FILE...]\n"
"Play FILEs, or random sequences, on two kinds of socket; compare.\n"
"  --operations=N   random ones, about that many (5000)\n"
"  --seed=N         of the first sequence; each has the next (1)\n"
"  --datagrams      of datagram sockets\n"
"  --left=KIND      circuit or tcp: the thing under test (circuit)\n"
"  --save=DIR       where sequences that differ are kept (.)\n"
"  --no-shrink      keep them as they are\n"
"  --trace          tell each step\n"
"  --print          print the sequence of the seed, play nothing\n"
"The other kind is TCP. Both are taken as socket(2) gives them for their\n"
"protocol numbers, so no redirect may be in force for this process.\n";

static void child_play(struct run *run, const struct diff_sequence *sequence)
{
	unsigned int first_port = FIRST_PORT + run->nr_plays % NR_PORT_RANGES *
				  DIFF_NR_SIDES * DIFF_NR_PORTS;

	signal(SIGPIPE, SIG_IGN);
	run->verdict->is_same = diff_play(sequence, run->protocols, first_port,
		run->with_trace ? stdout : NULL, run->tally,
		run->verdict->message);
	fflush(stdout);
	_exit(0);
}

/* Wait for the child that plays; one that hangs or crashes has differed. */
static void child_await(struct run *run, pid_t child, int pidfd)
{
	struct pollfd poller = { .fd = pidfd, .events = POLLIN };
	char *message = run->verdict->message;
	int status;

	if (!poll(&poller, 1, PLAY_MS)) {
		kill(child, SIGKILL);
		run->verdict->is_same = false;
		strcat(message, "hangs");
	}
	waitpid(child, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status))
		exit(WEXITSTATUS(status));
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
		run->verdict->is_same = false;
		sprintf(message + strlen(message), "ends with signal %d",
			WTERMSIG(status));
	}
}

static bool differs(const struct diff_sequence *sequence, void *argument)
{
	struct run *run = argument;
	int ends[2];
	pid_t child;

	/* Its end is the child's: the pipe closes with it. */
	if (pipe2(ends, O_CLOEXEC)) {
		perror("diff_sockets");
		exit(2);
	}
	run->nr_plays++;
	run->verdict->is_same = false;
	run->verdict->message[0] = '\0';
	child = fork();
	if (!child) {
		close(ends[0]);
		child_play(run, sequence);
	}
	close(ends[1]);
	child_await(run, child, ends[0]);
	close(ends[0]);
	return !run->verdict->is_same;
}

static void save(struct run *run, const struct diff_sequence *sequence,
		 unsigned long long seed)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%llu.ops", run->directory, seed);
	file = fopen(path, "w");
	if (!file) {
		perror(path);
		return;
	}
	fprintf(file, "# %s\n", run->verdict->message);
	diff_sequence_write(file, sequence);
	fclose(file);
	printf("saved as %s\n", path);
}

static void report(struct run *run, struct diff_sequence *sequence,
		   unsigned long long seed)
{
	char first[sizeof(run->verdict->message)];
	struct diff_tally tally = *run->tally;

	strcpy(first, run->verdict->message);
	printf("DIFFERENCE, seed %llu: %s\n", seed, first);
	fflush(stdout);
	if (!run->is_quick) {
		run->with_trace = false;
		diff_shrink(sequence, differs, run);
		if (!differs(sequence, run))
			strcpy(run->verdict->message, first);
		/* What was played for that is not what was asked for. */
		*run->tally = tally;
	}
	printf("%u operations: %s\n", sequence->nr, run->verdict->message);
	diff_sequence_write(stdout, sequence);
	save(run, sequence, seed);
	fflush(stdout);
}

/* Return: how many differ. */
static unsigned int play_random(struct run *run)
{
	struct diff_sequence sequence;
	unsigned long long seed = run->seed;
	unsigned int nr_different = 0;

	while (run->tally->nr_operations - run->tally->nr_left_out <
	       run->nr_wanted) {
		run->generate(seed, &sequence);
		if (differs(&sequence, run)) {
			nr_different++;
			report(run, &sequence, seed);
		}
		seed++;
	}
	printf("%llu sequences, seeds %llu to %llu\n", seed - run->seed,
	       run->seed, seed - 1);
	return nr_different;
}

static unsigned int play_files(struct run *run, char **paths)
{
	struct diff_sequence sequence;
	unsigned int nr_different = 0;
	FILE *file;
	int line;

	for (; *paths; paths++) {
		file = fopen(*paths, "r");
		if (!file) {
			perror(*paths);
			exit(2);
		}
		line = diff_sequence_read(file, &sequence);
		fclose(file);
		if (line) {
			fprintf(stderr, "%s:%d: not an operation\n", *paths,
				line);
			exit(2);
		}
		if (differs(&sequence, run)) {
			nr_different++;
			printf("DIFFERENCE, %s: %s\n", *paths,
			       run->verdict->message);
		}
	}
	return nr_different;
}

static void tally_print(const struct diff_tally *tally)
{
	unsigned int kind;

	printf("by kind:");
	for (kind = 0; kind < DIFF_NR_KINDS; kind++)
		printf(" %s %lu", diff_kind_name(kind), tally->by_kind[kind]);
	printf("\n%lu operations, %lu left out, %lu waited, %lu connections\n",
	       tally->nr_operations - tally->nr_left_out, tally->nr_left_out,
	       tally->nr_blocked, tally->nr_connections);
}

static int options_read(struct run *run, int argc, char **argv,
			bool *ret_print)
{
	static const struct option options[] = {
		{ "operations", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
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
			run->nr_wanted = strtoul(optarg, NULL, 10);
			break;
		case 's':
			run->seed = strtoull(optarg, NULL, 10);
			break;
		case 'g':
			run->generate = diff_generate_datagrams;
			break;
		case 'l':
			run->protocols[DIFF_LEFT] = strcmp(optarg, "tcp") ?
				PROTOCOL_CIRCUIT : IPPROTO_TCP;
			break;
		case 'd':
			run->directory = optarg;
			break;
		case 'q':
			run->is_quick = true;
			break;
		case 't':
			run->with_trace = true;
			break;
		case 'p':
			*ret_print = true;
			break;
		default:
			return -1;
		}
	}
	return 0;
}

static void *shared(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("diff_sockets");
		exit(2);
	}
	return memory;
}

int main(int argc, char **argv)
{
	struct run run = {
		.protocols = { PROTOCOL_CIRCUIT, IPPROTO_TCP },
		.generate = diff_generate, .nr_wanted = 5000, .seed = 1, .directory = ".",
		.tally = shared(sizeof(*run.tally)),
		.verdict = shared(sizeof(*run.verdict)),
	};
	struct diff_sequence sequence;
	bool print_only = false;
	unsigned int nr_different;

	if (options_read(&run, argc, argv, &print_only)) {
		fputs(usage, stderr);
		return 2;
	}
	if (print_only) {
		run.generate(run.seed, &sequence);
		diff_sequence_write(stdout, &sequence);
		return 0;
	}
	nr_different = optind < argc ? play_files(&run, argv + optind) :
				       play_random(&run);
	tally_print(run.tally);
	printf("%u sequences differ\n", nr_different);
	return nr_different ? 1 : 0;
}
