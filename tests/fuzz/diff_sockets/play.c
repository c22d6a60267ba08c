// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plays a sequence on both sides, step by step: an operation begins on both,
 * ends or blocks on both, and both worlds come to rest before the next.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "actor.h"
#include "play.h"
#include "rules.h"
#include "signals.h"

#define NR_PAIRS	3

/* A drain ends when nothing comes for a while, though the sender may go on. */
#define BULK_MS		20000

struct play {
	struct diff_world world;
	struct diff_pair pairs[NR_PAIRS];
	struct diff_tally *tally;
	FILE *trace;
	char *message;
};

static void calls_make(struct diff_world *world,
		       const struct diff_operation *operation,
		       struct diff_call *ret_calls)
{
	const struct diff_slot *slot = NULL;
	unsigned int side;
	int other;

	if (diff_slot_is_open(world, operation->argument[0]))
		slot = &world->slots[operation->argument[0]];
	memset(ret_calls, 0, DIFF_NR_SIDES * sizeof(*ret_calls));
	for (side = 0; side < DIFF_NR_SIDES; side++) {
		ret_calls[side].operation = *operation;
		ret_calls[side].world = world;
		ret_calls[side].side = side;
		ret_calls[side].fd = slot ? slot->fd[side] : -1;
		ret_calls[side].connection = slot ? slot->connection : NULL;
		ret_calls[side].end = slot ? slot->end : 0;
		ret_calls[side].was_full = slot && slot->connection &&
			slot->connection->is_full[slot->end];
		ret_calls[side].number = world->nr_datagrams;
		other = operation->argument[
				operation->kind == DIFF_SEND_TO ? 2 : 1];
		ret_calls[side].other_fd = diff_slot_is_open(world, other) ?
			world->slots[other].fd[side] : -1;
	}
}

/* Bytes on their way, and who may be waiting. */
static void count_begin(struct diff_call *call)
{
	struct diff_world *world = call->world;
	unsigned int socket = world->slots[call->operation.argument[0]].socket;

	call->nr_waiting = call->operation.kind == DIFF_POLL ?
			   &world->nr_polls_waiting[socket] :
			   &world->nr_others_waiting[socket];
	++*call->nr_waiting;
	if (!call->connection)
		return;
	if (diff_rules_is_send(call->operation.kind))
		call->connection->nr_sending[call->end]++;
	else if (diff_rules_is_receive(call->operation.kind))
		call->connection->nr_receiving[call->end]++;
	if (call->operation.kind == DIFF_SPLICE_OUT)
		call->connection->nr_splicing[call->end]++;
}

static void count_end(const struct diff_call *calls)
{
	const struct diff_call *call;
	unsigned int side;
	uint64_t *count;

	if (calls->nr_waiting)
		--*calls->nr_waiting;
	if (!calls->connection)
		return;
	if (calls->operation.kind == DIFF_SPLICE_OUT)
		calls->connection->nr_splicing[calls->end]--;
	if (diff_rules_is_send(calls->operation.kind))
		calls->connection->nr_sending[calls->end]--;
	else if (diff_rules_is_receive(calls->operation.kind))
		calls->connection->nr_receiving[calls->end]--;
	else if (calls->operation.kind != DIFF_FORK_SEND)
		return;
	if (calls->connection->is_datagram)
		return;
	for (side = 0; side < DIFF_NR_SIDES; side++) {
		call = &calls[side];
		if (diff_rules_is_receive(call->operation.kind))
			count = &call->connection->received[!call->end][side];
		else
			count = &call->connection->sent[call->end][side];
		if (call->result.value > 0 && diff_rules_moves(call))
			*count += (uint64_t)(call->result.value +
					     call->result.nr_passed);
	}
}

/* Descriptors that an operation made become a slot's. */
static bool slot_take(struct play *play, const struct diff_call *calls, int to)
{
	struct diff_world *world = &play->world;
	const struct diff_operation *operation = &calls->operation;
	struct diff_slot *slot = &world->slots[to];
	struct diff_connection *found[DIFF_NR_SIDES];
	unsigned int side;

	if (operation->kind == DIFF_DUP || operation->kind == DIFF_PASS)
		*slot = world->slots[operation->argument[0]];
	else
		*slot = (struct diff_slot){ .socket = ++world->nr_sockets };
	for (side = 0; side < DIFF_NR_SIDES; side++)
		slot->fd[side] = calls[side].result.fd;
	if (operation->kind == DIFF_SOCKET)
		slot->family = operation->argument[1];
	if (operation->kind == DIFF_DATAGRAM) {
		slot->connection = diff_connection_add(world);
		slot->connection->is_datagram = true;
	}
	if (operation->kind != DIFF_ACCEPT)
		return true;
	slot->end = 1;
	slot->family = 0;
	for (side = 0; side < DIFF_NR_SIDES; side++)
		found[side] = diff_connection_find(world, side,
						   slot->fd[side]);
	slot->connection = found[DIFF_RIGHT];
	if (found[DIFF_RIGHT])
		found[DIFF_RIGHT]->is_accepted = true;
	if (found[DIFF_LEFT] == found[DIFF_RIGHT])
		return true;
	snprintf(play->message, DIFF_MESSAGE_BYTES,
		 "accepted connection %u on the left, %u on the right",
		 found[DIFF_LEFT] ? found[DIFF_LEFT]->id : 0,
		 found[DIFF_RIGHT] ? found[DIFF_RIGHT]->id : 0);
	return false;
}

/* Both sides agree; what does it mean for the slots? */
static bool play_learn(struct play *play, const struct diff_call *calls)
{
	const struct diff_operation *operation = &calls->operation;
	struct diff_world *world = &play->world;
	int first = operation->argument[0];
	bool is_good = calls->result.value >= 0;
	bool is_datagram = calls->connection && calls->connection->is_datagram;
	unsigned int i;

	switch ((int)operation->kind) {
	case DIFF_SOCKET:
	case DIFF_DATAGRAM:
		return !is_good || slot_take(play, calls, first);
	case DIFF_ACCEPT:
		world->slots[operation->argument[1]].is_promised = false;
		/* fall through */
	case DIFF_DUP:
	case DIFF_PASS:
		return !is_good || slot_take(play, calls,
					     operation->argument[1]);
	case DIFF_CLOSE:
		for (i = 0; i < NR_PAIRS; i++)
			play->pairs[i].is_stale |=
				play->pairs[i].actors[DIFF_LEFT].call.fd ==
				world->slots[first].fd[DIFF_LEFT];
		world->slots[first].fd[DIFF_LEFT] = -1;
		world->slots[first].fd[DIFF_RIGHT] = -1;
		return true;
	case DIFF_CONNECT:
	case DIFF_CONNECT_PORT:
		if (is_good && !is_datagram)
			play->tally->nr_connections++;
		/* Of the last connection there may be something to read. */
		if (!is_good && calls->result.error != EINPROGRESS &&
		    calls->connection && calls->connection->before &&
		    diff_slot_is_open(world, first) &&
		    world->slots[first].connection == calls->connection)
			diff_rules_set_connection(world, first,
						calls->connection->before);
		return true;
	case DIFF_DISCONNECT:
		if (is_good && !is_datagram)
			diff_rules_set_connection(world, first, NULL);
		return true;
	default:
		return true;
	}
}

static void play_trace(struct play *play, const struct diff_call *calls,
		       const char *what)
{
	if (!play->trace)
		return;
	fprintf(play->trace, "%ld ", diff_milliseconds());
	diff_operation_write(play->trace, &calls->operation);
	fprintf(play->trace, ": %s left %ld %d, right %ld %d\n", what,
		calls[DIFF_LEFT].result.value, calls[DIFF_LEFT].result.error,
		calls[DIFF_RIGHT].result.value, calls[DIFF_RIGHT].result.error);
	fflush(play->trace);
}

static bool play_end(struct play *play, struct diff_call *calls)
{
	bool is_same;

	play_trace(play, calls, "ended,");
	is_same = diff_judge_calls(calls, play->message);
	count_end(calls);
	return is_same && play_learn(play, calls);
}

/* A pair is done, sleeps, or differs. */
static bool pair_look(struct play *play, struct diff_pair *pair)
{
	struct diff_call calls[DIFF_NR_SIDES];
	enum diff_progress progress = diff_pair_wait(pair);
	bool is_left;

	if (progress == DIFF_BOTH_BLOCKED)
		return true;
	if (progress == DIFF_BOTH_DONE) {
		calls[DIFF_LEFT] = pair->actors[DIFF_LEFT].call;
		calls[DIFF_RIGHT] = pair->actors[DIFF_RIGHT].call;
		return play_end(play, calls);
	}
	is_left = atomic_load(&pair->actors[DIFF_LEFT].is_done);
	calls[0] = pair->actors[is_left ? DIFF_LEFT : DIFF_RIGHT].call;
	snprintf(play->message, DIFF_MESSAGE_BYTES,
		 "%s: %s gives %ld %s, %s waits",
		 diff_kind_name(calls[0].operation.kind),
		 is_left ? "left" : "right", calls[0].result.value,
		 calls[0].result.value < 0 ?
		 strerrorname_np(calls[0].result.error) : "",
		 is_left ? "right" : "left");
	return false;
}

/* What waited may have ended by what was done since. */
static bool play_collect(struct play *play)
{
	unsigned int i;

	for (i = 0; i < NR_PAIRS; i++)
		if (play->pairs[i].is_busy && !pair_look(play, &play->pairs[i]))
			return false;
	return true;
}

static struct diff_pair *idle_pair(struct play *play)
{
	unsigned int i;

	for (i = 0; i < NR_PAIRS; i++)
		if (!play->pairs[i].is_busy)
			return &play->pairs[i];
	return NULL;
}

static bool play_blocking(struct play *play, struct diff_call *calls)
{
	struct diff_pair *pair = idle_pair(play);

	if (!pair)
		return true;
	count_begin(&calls[0]);
	if (calls->operation.kind == DIFF_ACCEPT)
		play->world.slots[calls->operation.argument[1]].is_promised =
			true;
	diff_pair_start(pair, calls);
	if (!pair_look(play, pair))
		return false;
	if (pair->is_busy) {
		play_trace(play, calls, "waits,");
		play->tally->nr_blocked++;
	}
	return true;
}

/* Something that a circuit refuses and says so: there only. */
static bool play_refused(struct play *play, struct diff_call *calls)
{
	struct diff_result *result = &calls[DIFF_LEFT].result;

	diff_call_run(&calls[DIFF_LEFT]);
	if (result->value == -1 && result->error == EOPNOTSUPP)
		return true;
	snprintf(play->message, DIFF_MESSAGE_BYTES,
		 "left gives %ld %s, where it should refuse", result->value,
		 result->value < 0 ? strerrorname_np(result->error) : "");
	return false;
}

/* A sender with more than fits in, and its receiver. */
static bool play_bulk(struct play *play, struct diff_call *calls)
{
	int receiver = diff_rules_other_end(&play->world,
					    calls->operation.argument[0]);
	struct diff_pair *pair = idle_pair(play);
	struct diff_operation drain = { .kind = DIFF_DRAIN };
	long end = diff_milliseconds() + BULK_MS;
	unsigned int side;

	if (!pair || receiver < 0)
		return true;
	for (side = 0; side < DIFF_NR_SIDES; side++) {
		calls[side].operation.kind = DIFF_SEND;
		calls[side].operation.argument[2] = 0;
		calls[side].operation.argument[3] = 0;
	}
	count_begin(&calls[0]);
	diff_pair_start(pair, calls);
	drain.argument[0] = receiver;
	calls_make(&play->world, &drain, calls);
	do {
		diff_call_run(&calls[DIFF_LEFT]);
		diff_call_run(&calls[DIFF_RIGHT]);
	} while (calls[DIFF_LEFT].result.value >= 0 &&
		 calls[DIFF_RIGHT].result.value >= 0 &&
		 !diff_pair_is_done(pair) && diff_milliseconds() < end);
	if (!diff_judge_calls(calls, play->message) || !pair_look(play, pair))
		return false;
	/* The sender's last bytes may have come after the last look. */
	diff_call_run(&calls[DIFF_LEFT]);
	diff_call_run(&calls[DIFF_RIGHT]);
	return diff_judge_calls(calls, play->message);
}

static bool play_signal(struct play *play, int number)
{
	unsigned int i;

	for (i = 0; i < NR_PAIRS; i++) {
		if (!play->pairs[i].is_busy ||
		    (number == SIGUSR2 &&
		     diff_pair_begins_otherwise(&play->pairs[i])))
			continue;
		diff_pair_signal(&play->pairs[i], number);
		if (!pair_look(play, &play->pairs[i]))
			return false;
	}
	return true;
}

/* A child has all descriptors until it is told to end. */
static bool play_holder(struct play *play, bool is_begin)
{
	struct diff_world *world = &play->world;
	int ends[2];
	char byte;

	if (is_begin == (world->holder > 0))
		return true;
	if (!is_begin) {
		close(world->holder_pipe);
		waitpid(world->holder, NULL, 0);
		world->holder = -1;
		return true;
	}
	if (pipe2(ends, O_CLOEXEC))
		abort();
	world->holder = fork();
	if (!world->holder) {
		close(ends[1]);
		while (read(ends[0], &byte, 1) < 0)
			;
		_exit(0);
	}
	close(ends[0]);
	world->holder_pipe = ends[1];
	return true;
}

static bool play_operation(struct play *play,
			   const struct diff_operation *operation)
{
	struct diff_call calls[DIFF_NR_SIDES];

	switch ((int)operation->kind) {
	case DIFF_FORK_HOLD:
	case DIFF_FORK_END:
		return play_holder(play, operation->kind == DIFF_FORK_HOLD);
	case DIFF_INTERRUPT:
		return play_signal(play, operation->argument[0] ? SIGUSR2 :
								  SIGUSR1);
	case DIFF_SIGIO_WAIT:
		return diff_signals_agree(play->world.has_circuits,
					  play->message);
	}
	diff_rules_prepare(&play->world, operation);
	calls_make(&play->world, operation, calls);
	/* Little may fit in after all; so much cannot. */
	if (operation->kind == DIFF_SEND && calls[0].was_full)
		calls[DIFF_LEFT].operation.argument[1] =
			calls[DIFF_RIGHT].operation.argument[1] = INT_MAX;
	if (diff_rules_is_refused(&play->world, operation))
		return play_refused(play, calls);
	if (operation->kind == DIFF_BULK)
		return play_bulk(play, calls);
	if (diff_rules_may_block(&calls[DIFF_LEFT]))
		return play_blocking(play, calls);
	count_begin(&calls[0]);
	diff_call_run(&calls[DIFF_LEFT]);
	diff_call_run(&calls[DIFF_RIGHT]);
	return play_end(play, calls);
}

/* Nothing sleeps any more; each call is ended in the same way on both sides. */
static bool play_finish(struct play *play)
{
	bool is_busy = true;
	unsigned int tries, i;

	for (tries = 0; is_busy && tries < 10; tries++) {
		if (!play_signal(play, SIGUSR1))
			return false;
		is_busy = false;
		for (i = 0; i < NR_PAIRS; i++)
			is_busy |= play->pairs[i].is_busy;
	}
	return play_holder(play, false) &&
	       diff_judge_rest(&play->world, true, play->message);
}

/**
 * diff_play - play one sequence
 * @sequence: any; operations that make no sense where they stand are left out
 * @protocols: for socket(2), one for each side
 * @first_port: as in diff_world_open()
 * @trace: told each step, or NULL
 * @tally: added to
 * @ret_message: the difference, DIFF_MESSAGE_BYTES
 *
 * For a process of its own: descriptors and threads stay.
 *
 * Return: false if the two sides differ.
 */
bool diff_play(const struct diff_sequence *sequence, const int *protocols,
	       unsigned int first_port, FILE *trace, struct diff_tally *tally,
	       char *ret_message)
{
	static struct play play;
	const struct diff_operation *operation;
	char *end = ret_message;
	unsigned int i;

	diff_signals_catch();
	if (diff_world_open(&play.world, protocols, first_port)) {
		perror("diff_sockets");
		exit(2);
	}
	play.tally = tally;
	play.trace = trace;
	for (i = 0; i < sequence->nr; i++) {
		operation = &sequence->operations[i];
		tally->nr_operations++;
		if (!diff_rules_makes_sense(&play.world, operation)) {
			tally->nr_left_out++;
			continue;
		}
		tally->by_kind[operation->kind]++;
		end = ret_message + sprintf(ret_message, "operation %u (%s): ",
			i + 1, diff_kind_name(operation->kind));
		play.message = end;
		if (!play_operation(&play, operation) || !play_collect(&play) ||
		    !diff_judge_rest(&play.world, false, play.message))
			return false;
	}
	play.message = ret_message + sprintf(ret_message, "at the end: ");
	return play_finish(&play);
}
