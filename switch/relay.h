/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_RELAY_H
#define VMC_SWITCH_RELAY_H

#include "switch/terminal.h"
#include "switch/uring.h"

struct vmc_inbound;
struct vmc_outbound;

enum vmc_relay_state {
	VMC_RELAY_DIALLING,	/* the host's socket is not connected yet */
	VMC_RELAY_WAITING,	/* accepted; the link is not up yet */
	VMC_RELAY_OFFERED,	/* accepted; the guest has not answered yet */
	VMC_RELAY_OPEN,		/* bytes flow */
	VMC_RELAY_ENDING,	/* waits for its operations to end */
};

/* A host socket, the uplink's end of a circuit, and the bytes between. */
struct vmc_relay {
	struct vmc_terminal terminal;
	enum vmc_relay_state state;
	int fd;				/* blocking: io_uring waits for it */
	struct vmc_task end_task;

	/* Until it is connected, or answered; then NULL. */
	struct vmc_outbound *outbound;
	struct vmc_inbound *inbound;

	struct vmc_uring_op rx;		/* host to guest; at most one */
	struct vmc_uring_op tx;		/* guest to host; at most one */
	struct vmc_uring_op watch;	/* for errors while neither runs */
	int tx_result;			/* of a send that is not over yet */
	uint64_t tx_sent_ms;		/* when that was */
	bool is_zero_copy_unfit;	/* socket or path: copy instead */
	bool is_rx_over;		/* the host's peer sends no more */
	bool is_rx_refused;		/* it did, and nobody was there */
	bool is_tx_over;		/* the guest's FIN went on */
	bool is_guest_closed;		/* CLOSE came: it says no more */
	int host_error;			/* positive; the guest is to be told */
	uint32_t options_seen;
	uint32_t figures_seen;
};

struct vmc_relay *vmc_relay_create(struct vmc_trunk *trunk, int fd,
				   enum vmc_relay_state state);
void vmc_relay_connected(struct vmc_relay *relay, struct vmc_dial *dial);
struct vmc_uring *vmc_relay_uring(const struct vmc_relay *relay);
void vmc_relay_break(struct vmc_relay *relay, int error);
void vmc_relay_finish(struct vmc_relay *relay, bool is_reset);
void vmc_relay_abort(struct vmc_relay *relay);
bool vmc_relay_is_ended(struct vmc_relay *relay);

#endif /* VMC_SWITCH_RELAY_H */
