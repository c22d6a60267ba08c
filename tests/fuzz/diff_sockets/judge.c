// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What may differ between the two sides, and what may not. Nothing may, but
 * for what is named here:
 *
 * - what becomes true later on one side: it is asked for again until both agree
 *   or PATIENCE_MS have passed
 * - how many bytes fit in while a buffer is full (diff_is_even())
 * - SIOCOUTQ, while something is not read: doc/socket-semantics.md
 * - the several states of TCP in which both directions have ended
 * - why a connection ended whose FIN was behind a full buffer: by what TCP
 *   knew, ECONNRESET or EPIPE
 * - an edge more on the left, of what is true: a bell comes later than what it
 *   tells of, and TCP's wake-ups are one with what they tell of
 */
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "actor.h"
#include "judge.h"
#include "rules.h"

/* Longer than TCP needs for delayed acknowledgements, corks and three SYNs. */
#define PATIENCE_MS	8000
#define LOOK_US		300
#define EDGE_MS		300
/* For what TCP's delayed acknowledgements hold up. */
#define DELAY_MS	300

/* As diff_poll_mask() and the details of calls have it. */
#define FOLDED_RDHUP	0x20


static int tcp_state_of(int fd)
{
	struct tcp_info info;
	socklen_t bytes = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) ? -errno :
	       info.tcpi_state;
}

/* The state as programs can tell it. */
static int state_fold(int state)
{
	switch (state) {
	case TCP_FIN_WAIT1:
		return TCP_FIN_WAIT2;
	case TCP_CLOSING:
	case TCP_LAST_ACK:
	case TCP_TIME_WAIT:
		return TCP_CLOSE;
	default:
		return state;
	}
}

static int state_of(int fd)
{
	return state_fold(tcp_state_of(fd));
}

/* What of a slot's mask depends on how much fits into a buffer. */
static int buffer_bits(const struct diff_slot *slot)
{
	return (diff_is_even(slot, slot->end) ? 0 : EPOLLOUT) |
	       (diff_is_even(slot, !slot->end) ? 0 :
		EPOLLIN | EPOLLHUP | FOLDED_RDHUP);
}

/* Of the details' word number @word, for calls that tell masks. */
static int buffer_bits_of(const struct diff_call *calls, unsigned int word)
{
	const struct diff_slot *slots = calls->world->slots;
	unsigned int i;
	int bits = 0;

	if (calls->operation.kind == DIFF_POLL)
		return word ? 0 : buffer_bits(
			&slots[calls->operation.argument[0]]);
	if (calls->operation.kind != DIFF_EPOLL_WAIT &&
	    calls->operation.kind != DIFF_SELECT)
		return 0;
	for (i = word * 4; i < word * 4 + 4 && i < DIFF_NR_SLOTS; i++)
		bits |= buffer_bits(&slots[i]) << (i % 4 * 8);
	return bits;
}

static bool details_agree(const struct diff_call *calls)
{
	const int *left = calls[DIFF_LEFT].result.detail;
	const int *right = calls[DIFF_RIGHT].result.detail;
	unsigned int i;

	for (i = 0; i < 4; i++)
		if ((left[i] ^ right[i]) & ~buffer_bits_of(calls, i))
			return false;
	return true;
}

static bool is_silent(const struct diff_call *calls)
{
	const struct diff_call *call = &calls[DIFF_LEFT];

	switch ((int)call->operation.kind) {
	case DIFF_GET:
		return diff_option_is_silent(call->operation.argument[1]);
	case DIFF_IOCTL:
		if ((call->operation.argument[1] & 3) < 2)
			return !diff_is_even(&call->world->slots[
				call->operation.argument[0]], !call->end);
		/*
		 * Sent and not taken: TCP has acknowledged it all the same. And
		 * without a connection it tells what its numbers are by chance.
		 */
		return !call->connection ||
		       state_of(calls[DIFF_RIGHT].fd) == TCP_CLOSE ||
		       diff_available(call->connection, call->end, DIFF_LEFT);
	default:
		return false;
	}
}

/* How much went into a full buffer, if anything, before the call ended. */
static bool full_sends_agree(const struct diff_result *left,
			     const struct diff_result *right)
{
	return left->value >= 0 || right->value >= 0 ||
	       left->error == right->error;
}

static bool was_told_of_the_end(const struct diff_result *result)
{
	return result->value < 0 &&
	       (result->error == ECONNRESET || result->error == EPIPE);
}

/*
 * Of two such sends the one was told of the connection's end, and the other how
 * much went: that side's socket has its error still, and is asked for it.
 */
static void settle_error(const struct diff_call *calls)
{
	const struct diff_slot *slot =
		&calls->world->slots[calls->operation.argument[0]];
	socklen_t bytes;
	int side, error;

	for (side = 0; side < DIFF_NR_SIDES; side++) {
		bytes = sizeof(error);
		if (calls[side].result.value >= 0 &&
		    was_told_of_the_end(&calls[!side].result))
			getsockopt(slot->fd[side], SOL_SOCKET, SO_ERROR,
				   &error, &bytes);
	}
}

static bool is_full_send(const struct diff_call *calls)
{
	return calls->was_full &&
	       (calls->operation.kind == DIFF_FORK_SEND ||
		diff_rules_is_send(calls->operation.kind));
}

/* A circuit's FIN is seen at once, so what comes after it is EPIPE there. */
static int error_fold(const struct diff_call *calls, int error)
{
	return error == EPIPE && calls->connection &&
	       calls->connection->has_been_full[!calls->end] ? ECONNRESET :
							       error;
}

static bool errors_agree(const struct diff_call *calls, int left, int right)
{
	return error_fold(calls, left) == error_fold(calls, right);
}

static bool results_agree(const struct diff_call *calls)
{
	const struct diff_result *left = &calls[DIFF_LEFT].result;
	const struct diff_result *right = &calls[DIFF_RIGHT].result;

	if (is_full_send(calls))
		return full_sends_agree(left, right);
	if (!errors_agree(calls, left->error, right->error))
		return false;
	if (calls->operation.kind == DIFF_GET && !left->value == !right->value &&
	    diff_option_is_error(calls->operation.argument[1]))
		return errors_agree(calls, left->detail[0], right->detail[0]);
	/* The count of ready sockets follows from their masks. */
	if (calls->operation.kind == DIFF_EPOLL_WAIT ||
	    calls->operation.kind == DIFF_SELECT ||
	    calls->operation.kind == DIFF_POLL)
		return details_agree(calls);
	if (left->value != right->value)
		return false;
	/* A drain's last look is one of many. */
	if (calls->operation.kind != DIFF_DRAIN &&
	    left->nr_passed != right->nr_passed)
		return false;
	return is_silent(calls) || details_agree(calls);
}

/* Which sides may be asked again, as bits; 0: what they said counts. */
static unsigned int askable(const struct diff_call *calls)
{
	const struct diff_operation *operation = &calls->operation;
	unsigned int sides = 0, side;

	switch ((int)operation->kind) {
	case DIFF_RECV:
	case DIFF_SPLICE_OUT:
	case DIFF_ACCEPT:
		for (side = 0; side < DIFF_NR_SIDES; side++)
			if (calls[side].result.value < 0 &&
			    calls[side].result.error == EAGAIN)
				sides |= 1U << side;
		return sides;
	case DIFF_GET:
		/* What was read of SO_ERROR is gone; other options stay. */
		for (side = 0; side < DIFF_NR_SIDES; side++)
			if (!calls[side].result.detail[0])
				sides |= 1U << side;
		return sides;
	case DIFF_DRAIN:
		return calls->connection->is_datagram ? 3 : 0;
	case DIFF_POLL:		/* one that waited saw the first of several */
	case DIFF_NAME:
	case DIFF_IOCTL:
	case DIFF_SELECT:
	case DIFF_EPOLL_WAIT:
		return 3;
	default:
		return 0;
	}
}

static void ask_again(struct diff_call *calls, unsigned int sides)
{
	struct diff_result before;
	unsigned int side, i;

	for (side = 0; side < DIFF_NR_SIDES; side++) {
		if (!(sides & (1U << side)))
			continue;
		before = calls[side].result;
		if (calls->operation.kind == DIFF_POLL)
			calls[side].operation.argument[2] = 0;
		diff_call_run(&calls[side]);
		/* An edge is told once, and a datagram received. */
		for (i = 0; i < 4; i++) {
			if (calls->operation.kind == DIFF_EPOLL_WAIT)
				calls[side].result.detail[i] |=
					before.detail[i];
			else if (calls->operation.kind == DIFF_DRAIN)
				calls[side].result.detail[i] +=
					before.detail[i];
		}
	}
}

/* Whether the left has told of more, and that is so on both sides. */
static bool is_edge_of_left(const struct diff_call *calls)
{
	const struct diff_slot *slots = calls->world->slots;
	const unsigned int all = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP;
	int left, right, more, bits, i;

	if (calls->operation.kind != DIFF_EPOLL_WAIT)
		return false;
	for (i = 0; i < DIFF_NR_SLOTS; i++) {
		left = calls[DIFF_LEFT].result.detail[i / 4] >> (i % 4 * 8);
		right = calls[DIFF_RIGHT].result.detail[i / 4] >> (i % 4 * 8);
		bits = 0xff & ~buffer_bits(&slots[i]);
		more = left & ~right & bits;
		if (right & ~left & bits)
			return false;
		if (more && (!diff_slot_is_open(calls->world, i) ||
			     more & ~diff_poll_mask(slots[i].fd[DIFF_LEFT], all) ||
			     more & ~diff_poll_mask(slots[i].fd[DIFF_RIGHT], all)))
			return false;
	}
	return true;
}

static int say_operation(char *to, const struct diff_operation *operation)
{
	FILE *file = fmemopen(to, DIFF_MESSAGE_BYTES, "w");
	int n;

	diff_operation_write(file, operation);
	fputs(" gives left ", file);
	n = (int)ftell(file);
	fclose(file);
	return n;
}

static int say_result(char *to, size_t room, const struct diff_result *result)
{
	return snprintf(to, room, "%ld %s (%x %x %x %x)%s", result->value,
			result->value < 0 ? strerrorname_np(result->error) : "",
			result->detail[0], result->detail[1],
			result->detail[2], result->detail[3],
			result->is_wrong ? ", WRONG DATA" : "");
}

/**
 * diff_judge_calls - whether both sides did the same
 * @calls: one for each side, done; run again where they may be
 * @ret_message: what differs, DIFF_MESSAGE_BYTES; untouched if nothing does
 *
 * Runs in the sequence's thread.
 */
bool diff_judge_calls(struct diff_call *calls, char *ret_message)
{
	long end = diff_milliseconds() + PATIENCE_MS;
	unsigned int sides;
	int n;

	while (!results_agree(calls)) {
		sides = askable(calls);
		if (end - diff_milliseconds() < PATIENCE_MS - EDGE_MS &&
		    is_edge_of_left(calls))
			break;
		if (!sides || diff_milliseconds() > end)
			goto differ;
		usleep(LOOK_US);
		ask_again(calls, sides);
	}
	if (is_full_send(calls))
		settle_error(calls);
	if (!calls[DIFF_LEFT].result.is_wrong &&
	    !calls[DIFF_RIGHT].result.is_wrong)
		return true;
differ:
	n = say_operation(ret_message, &calls->operation);
	n += say_result(ret_message + n, DIFF_MESSAGE_BYTES - (size_t)n,
			&calls[DIFF_LEFT].result);
	n += snprintf(ret_message + n, DIFF_MESSAGE_BYTES - (size_t)n,
		      ", right ");
	say_result(ret_message + n, DIFF_MESSAGE_BYTES - (size_t)n,
		   &calls[DIFF_RIGHT].result);
	return false;
}

static int unread_of(int fd)
{
	int value;

	return ioctl(fd, FIONREAD, &value) ? -errno : value;
}

static bool is_receiving(const struct diff_slot *slot)
{
	return slot->connection && slot->connection->nr_receiving[slot->end];
}

/*
 * poll() for data takes what lies in rings, and a sleeper would: so of every
 * other socket only errors and the like are looked for.
 */
static const char *datagram_difference(const struct diff_slot *slot, int *told)
{
	unsigned int events = EPOLLOUT, side;

	if (slot->socket % 2 && diff_is_even(slot, !slot->end) &&
	    !is_receiving(slot))
		events |= EPOLLIN;
	for (side = 0; side < DIFF_NR_SIDES; side++)
		told[side] = (int)diff_poll_mask(slot->fd[side], events);
	return told[DIFF_LEFT] != told[DIFF_RIGHT] ? "poll mask" : NULL;
}

/*
 * TCP hears 40 ms or more after its FIN that it was taken, and wakes sleepers
 * and edges once more. Behind a full backlog it takes longer, so there is time
 * for that once for each connection.
 */
static bool is_fin_awaited(struct diff_connection *connection)
{
	if (!connection->fin_until)
		connection->fin_until = diff_milliseconds() + DELAY_MS;
	connection->is_fin_late |= diff_milliseconds() > connection->fin_until;
	return !connection->is_fin_late;
}

static int unsent_of(int fd)
{
	int value;

	return ioctl(fd, SIOCOUTQNSD, &value) ? 0 : value;
}

/*
 * Whether TCP is still about something that a circuit has done. Nagle's rule
 * lets it hold back what a circuit sends at once: doc/socket-semantics.md.
 */
static bool is_right_behind(const struct diff_slot *slot)
{
	if (!slot->connection || slot->connection->is_datagram ||
	    !diff_is_even(slot, slot->end))
		return false;
	switch (tcp_state_of(slot->fd[DIFF_RIGHT])) {
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
		return unsent_of(slot->fd[DIFF_RIGHT]) > 0 &&
		       !unsent_of(slot->fd[DIFF_LEFT]);
	case TCP_FIN_WAIT1:
	case TCP_CLOSING:
	case TCP_LAST_ACK:
		return is_fin_awaited(slot->connection);
	default:
		return false;
	}
}

/* What of a slot differs, or NULL. */
static const char *slot_difference(const struct diff_slot *slot,
				   bool with_masks, int *told)
{
	const unsigned int events = EPOLLIN | EPOLLPRI | EPOLLRDHUP |
		(diff_is_even(slot, slot->end) ? EPOLLOUT : 0U);
	unsigned int side;

	for (side = 0; side < DIFF_NR_SIDES; side++)
		told[side] = state_of(slot->fd[side]);
	/* TCP's FIN waits behind a full buffer, a circuit's is seen at once. */
	if (told[DIFF_LEFT] != told[DIFF_RIGHT] &&
	    diff_is_even(slot, !slot->end))
		return "state";
	if (slot->connection && slot->connection->is_datagram)
		return datagram_difference(slot, told);
	/* A call that waits for more takes what there is when it likes. */
	if (is_receiving(slot) || !diff_is_even(slot, !slot->end))
		return NULL;
	for (side = 0; side < DIFF_NR_SIDES; side++)
		told[side] = unread_of(slot->fd[side]);
	if (told[DIFF_LEFT] != told[DIFF_RIGHT])
		return "unread bytes";
	if (!with_masks)
		return NULL;
	for (side = 0; side < DIFF_NR_SIDES; side++)
		told[side] = (int)diff_poll_mask(slot->fd[side], events);
	return told[DIFF_LEFT] != told[DIFF_RIGHT] ? "poll mask" : NULL;
}

/* Whether a slot before this one has the same socket. */
static bool is_seen(const struct diff_world *world, int slot)
{
	int i;

	for (i = 0; i < slot; i++)
		if (diff_slot_is_open(world, i) && world->slots[i].socket ==
						   world->slots[slot].socket)
			return true;
	return false;
}

/**
 * diff_judge_rest - wait until both worlds are in the same state
 * @world: in which nothing happens but what is under way
 * @with_masks: ask poll(), too, which makes circuits ring bells
 * @ret_message: as in diff_judge_calls()
 *
 * Return: false if they do not come to the same.
 */
bool diff_judge_rest(struct diff_world *world, bool with_masks,
		     char *ret_message)
{
	long begin = diff_milliseconds();
	int told[DIFF_NR_SIDES];
	const char *what;
	int i;

	for (i = 0; i < DIFF_NR_SLOTS; i++) {
		if (!diff_slot_is_open(world, i) || is_seen(world, i))
			continue;
		while (is_right_behind(&world->slots[i]) &&
		       diff_milliseconds() < begin + DELAY_MS)
			usleep(LOOK_US);
		while ((what = slot_difference(&world->slots[i], with_masks,
					       told))) {
			if (diff_milliseconds() > begin + PATIENCE_MS) {
				snprintf(ret_message, DIFF_MESSAGE_BYTES,
					 "slot %d, %s: left %#x, right %#x",
					 i, what, (unsigned int)told[DIFF_LEFT],
					 (unsigned int)told[DIFF_RIGHT]);
				return false;
			}
			usleep(LOOK_US);
		}
	}
	return true;
}
