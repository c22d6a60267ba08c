// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A wire: the socket pair by which a process rings for its circuit and is
 * rung. Two processes have one end each, and the switch is out of their way;
 * a guest's end stays here, see porter.c. Owns the descriptors that no process
 * has yet. Called by connect.c, link.c, answer.c and process.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/shared.h"
#include "lib/wake.h"
#include "switch/link.h"
#include "switch/porter.h"
#include "switch/wire.h"

static struct vmc_ctl *ctl_of(const struct vmc_link *link, unsigned int end,
			      uint32_t slot)
{
	uint8_t *pages = link->segments[end].map + VMC_CTL_OFFSET;

	return (struct vmc_ctl *)pages + slot;
}

static struct vmc_wakeup *wakeup_of(const struct vmc_link *link,
				    unsigned int end, uint32_t slot)
{
	struct vmc_wake_slot *slots = (void *)link->wake_area.map;

	return &slots[slot].ends[end];
}

/* The process rang for its guest, or let go. */
static void ready(struct vmc_watch *watch, uint32_t events)
{
	struct vmc_wire *wire = vmc_container_of(watch, struct vmc_wire, watch);
	struct vmc_porter *porter = wire->link->porter;
	char bells[256];
	ssize_t bytes;

	(void)events;
	bytes = recv(watch->fd, bells, sizeof(bells), MSG_DONTWAIT);
	if (bytes <= 0 && !(bytes < 0 && errno == EAGAIN))
		vmc_loop_close(porter->loop, watch);
	vmc_porter_ring(porter, wire->slot);
}

/**
 * vmc_wire_create - join a circuit with the processes at its ends
 * @link: its link, with a process at one end or both
 * @slot: the circuit
 *
 * Return: 0, -ENOMEM, or the error of socketpair() or epoll_ctl().
 */
int vmc_wire_create(struct vmc_link *link, uint32_t slot)
{
	struct vmc_wire *wire = calloc(1, sizeof(*wire));
	struct vmc_porter *porter = link->porter;
	unsigned int guest;
	int error = 0;

	if (!wire)
		return -ENOMEM;
	wire->link = link;
	wire->slot = slot;
	wire->watch = (struct vmc_watch){ -1, ready };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wire->fds)) {
		error = -errno;
		free(wire);
		return error;
	}
	link->circuits.circuits[slot].wire = wire;
	memset(wakeup_of(link, 0, slot), 0, sizeof(struct vmc_wake_slot));
	if (porter) {
		guest = !porter->end;
		wire->watch.fd = wire->fds[guest];
		wire->fds[guest] = -1;
		error = vmc_loop_add(porter->loop, &wire->watch, EPOLLIN);
		vmc_bell_seat(&porter->bell, slot);
	}
	if (error) {
		close(wire->watch.fd);
		wire->watch.fd = -1;
		vmc_wire_destroy(link, slot);
	}
	return error;
}

/**
 * vmc_wire_destroy - a circuit is over
 * @link: its link
 * @slot: the circuit, with a wire or without
 */
void vmc_wire_destroy(struct vmc_link *link, uint32_t slot)
{
	struct vmc_wire *wire = link->circuits.circuits[slot].wire;
	unsigned int i;

	if (!wire)
		return;
	for (i = 0; i < 2; i++) {
		if (wire->fds[i] >= 0)
			close(wire->fds[i]);
	}
	if (wire->watch.fd >= 0)
		vmc_loop_close(link->porter->loop, &wire->watch);
	link->circuits.circuits[slot].wire = NULL;
	free(wire);
}

/**
 * vmc_wire_wake - tell a process to look at its circuit
 * @link: its link
 * @end: the process's
 * @slot: any that was ever used; nothing happens without a wire
 */
void vmc_wire_wake(struct vmc_link *link, unsigned int end, uint32_t slot)
{
	const struct vmc_wire *wire = link->circuits.circuits[slot].wire;

	if (wire)
		vmc_wake(wakeup_of(link, end, slot), wire->watch.fd);
}

/**
 * vmc_wire_has_unread - whether an end left something in its ring
 * @link: the circuit's
 * @end: the end, which reads no more
 * @slot: the circuit
 *
 * By what both ends say; a lie costs who told it.
 */
bool vmc_wire_has_unread(const struct vmc_link *link, unsigned int end,
			 uint32_t slot)
{
	return vmc_shared_load32(&ctl_of(link, !end, slot)->prod) !=
	       vmc_shared_load32(&ctl_of(link, end, slot)->cons);
}

/**
 * vmc_wire_say - say FIN, RST or GONE for an end that cannot any more
 * @link: its link
 * @end: the end, whose process or guest left
 * @slot: the circuit; nothing happens without a wire
 * @flags: VMC_CTL_
 *
 * A process that left the switch but lives may still write its page; that is
 * between it and its peer.
 */
void vmc_wire_say(struct vmc_link *link, unsigned int end, uint32_t slot,
		  uint32_t flags)
{
	const struct vmc_wire *wire = link->circuits.circuits[slot].wire;
	struct vmc_ctl *ctl = ctl_of(link, end, slot);

	if (!wire)
		return;
	__atomic_fetch_or(&ctl->flags, htole32(flags), __ATOMIC_SEQ_CST);
	if (link->porter && link->porter->end == end)
		vmc_porter_ring(link->porter, slot);
	else
		vmc_wire_wake(link, !end, slot);
}
