/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The life of one end of a circuit. A guest keeps one state for each socket;
 * the switch keeps one for each of a circuit's two ends, as far as it sees
 * (it does not see half-closes, which travel in shared memory). Only
 * vmc_state_next() chooses a state.
 */
#ifndef VMC_PROTO_STATE_H
#define VMC_PROTO_STATE_H

enum vmc_state {
	/* No circuit. May connect, be offered. */
	VMC_STATE_FREE,
	/* CONNECT is under way. Leaves by an answer or by giving up. */
	VMC_STATE_CONNECTING,
	/* OFFER is under way. Leaves by the guest's answer or a withdrawal. */
	VMC_STATE_OFFERED,
	/* Data flows both ways. */
	VMC_STATE_OPEN,
	/* This end sent FIN; it may still receive. */
	VMC_STATE_TX_SHUT,
	/* This end saw FIN; it may still send. */
	VMC_STATE_RX_SHUT,
	/* FIN both ways; what is in the ring may still be read. */
	VMC_STATE_BOTH_SHUT,
	/* Reset or refused; nothing may be sent or received. */
	VMC_STATE_BROKEN,
	/* This end said CLOSE and touches the rings no more. Final. */
	VMC_STATE_CLOSED,
	VMC_NR_STATES
};

enum vmc_event {
	VMC_EVENT_CONNECT,	/* this end asks for a circuit */
	VMC_EVENT_OFFER,	/* this end is offered one */
	VMC_EVENT_ESTABLISH,	/* CONNECTED came, or ACCEPT went */
	VMC_EVENT_SHUT_TX,	/* this end will send no more */
	VMC_EVENT_SHUT_RX,	/* the peer's FIN was seen */
	VMC_EVENT_BREAK,	/* refused, reset, peer or switch gone, lie found */
	VMC_EVENT_CLOSE,	/* this end lets go */
	VMC_NR_EVENTS
};

/* vmc_state_next() for an event that the state does not permit. */
#define VMC_STATE_INVALID	VMC_NR_STATES

/**
 * vmc_state_next - the one transition function
 * @state: where the end is
 * @event: what happened
 *
 * Return: the next state, or VMC_STATE_INVALID when @event must not happen in
 * @state: a fault of the caller, or a lie of whoever sent the event.
 */
static inline enum vmc_state vmc_state_next(enum vmc_state state,
					    enum vmc_event event)
{
#define X VMC_STATE_INVALID
#define S(state) VMC_STATE_##state
	static const unsigned char next[VMC_NR_STATES][VMC_NR_EVENTS] = {
	/*  CONNECT,       OFFER,      ESTABLISH, SHUT_TX,      SHUT_RX,      BREAK,     CLOSE */
	[S(FREE)]       = {
	    S(CONNECTING), S(OFFERED), X,         X,            X,            X,         S(CLOSED) },
	[S(CONNECTING)] = {
	    X,             X,          S(OPEN),   X,            X,            S(BROKEN), S(CLOSED) },
	[S(OFFERED)]    = {
	    X,             X,          S(OPEN),   X,            X,            S(BROKEN), S(CLOSED) },
	[S(OPEN)]       = {
	    X,             X,          X,         S(TX_SHUT),   S(RX_SHUT),   S(BROKEN), S(CLOSED) },
	[S(TX_SHUT)]    = {
	    X,             X,          X,         S(TX_SHUT),   S(BOTH_SHUT), S(BROKEN), S(CLOSED) },
	[S(RX_SHUT)]    = {
	    X,             X,          X,         S(BOTH_SHUT), S(RX_SHUT),   S(BROKEN), S(CLOSED) },
	[S(BOTH_SHUT)]  = {
	    X,             X,          X,         S(BOTH_SHUT), S(BOTH_SHUT), S(BROKEN), S(CLOSED) },
	[S(BROKEN)]     = {
	    X,             X,          X,         S(BROKEN),    S(BROKEN),    S(BROKEN), S(CLOSED) },
	[S(CLOSED)]     = {
	    X,             X,          X,         X,            X,            X,         X         },
	};
#undef S
#undef X

	if ((unsigned int)state >= VMC_NR_STATES ||
	    (unsigned int)event >= VMC_NR_EVENTS)
		return VMC_STATE_INVALID;
	return (enum vmc_state)next[state][event];
}

/**
 * vmc_state_name - a word for logs and tables
 * @state: any value
 */
static inline const char *vmc_state_name(enum vmc_state state)
{
	static const char * const names[] = {
		[VMC_STATE_FREE]	= "free",
		[VMC_STATE_CONNECTING]	= "connecting",
		[VMC_STATE_OFFERED]	= "offered",
		[VMC_STATE_OPEN]	= "open",
		[VMC_STATE_TX_SHUT]	= "tx-shut",
		[VMC_STATE_RX_SHUT]	= "rx-shut",
		[VMC_STATE_BOTH_SHUT]	= "both-shut",
		[VMC_STATE_BROKEN]	= "broken",
		[VMC_STATE_CLOSED]	= "closed",
	};

	return (unsigned int)state < VMC_NR_STATES ? names[state] : "invalid";
}

#endif /* VMC_PROTO_STATE_H */
