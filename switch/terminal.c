// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A terminal is the switch's own end of one circuit: its slot, its rings, and
 * what the guest is told about it. Owned by a relay, for streams or for
 * datagrams, which has the host's side, or by a port of the hub. Called by
 * those.
 */
#include <errno.h>

#include "switch/notice.h"
#include "switch/quota.h"
#include "switch/terminal.h"

/**
 * vmc_terminal_enter - join a trunk
 * @terminal: overwritten
 * @trunk: to the VM; busy until vmc_terminal_leave()
 * @ops: of the owner
 */
void vmc_terminal_enter(struct vmc_terminal *terminal,
			struct vmc_trunk *trunk,
			const struct vmc_terminal_ops *ops)
{
	*terminal = (struct vmc_terminal){ .ops = ops, .trunk = trunk };
	TAILQ_INSERT_TAIL(&trunk->terminals, terminal, of_trunk);
}

static void give_circuit(struct vmc_terminal *terminal)
{
	struct vmc_circuit *circuit;

	if (!terminal->has_slot)
		return;
	circuit = vmc_terminal_circuit(terminal);
	circuit->terminal = NULL;
	vmc_circuit_step(circuit, VMC_UPLINK_END, VMC_EVENT_CLOSE);
	vmc_link_close_if_over(terminal->trunk->link, terminal->slot);
}

/**
 * vmc_terminal_leave - give the circuit back and leave the trunk
 * @terminal: nothing touches its rings any more
 *
 * Return: the trunk, for vmc_trunk_settle() once the owner is freed.
 */
struct vmc_trunk *vmc_terminal_leave(struct vmc_terminal *terminal)
{
	give_circuit(terminal);
	TAILQ_REMOVE(&terminal->trunk->terminals, terminal, of_trunk);
	return terminal->trunk;
}

/**
 * vmc_terminal_vm - the VM at the other end
 * @terminal: any
 *
 * Return: the VM, or NULL when it is gone.
 */
struct vmc_vm *vmc_terminal_vm(const struct vmc_terminal *terminal)
{
	return terminal->trunk->link->ends[!VMC_UPLINK_END].vm;
}

/**
 * vmc_terminal_circuit - as the switch has it
 * @terminal: with a circuit
 */
struct vmc_circuit *vmc_terminal_circuit(const struct vmc_terminal *terminal)
{
	return &terminal->trunk->link->circuits.circuits[terminal->slot];
}

/* 0, -ENOSPC when slots or ring space are used up, -EDQUOT at a limit. */
static int take_circuit(struct vmc_terminal *terminal,
			const struct vmc_name *vm_name,
			const struct vmc_name *remote,
			const uint32_t wishes[2], bool is_hub)
{
	struct vmc_trunk *trunk = terminal->trunk;
	struct vmc_circuit *circuit;
	int error;

	if (!is_hub && !vmc_quota_may_take(vmc_terminal_vm(terminal)))
		return -EDQUOT;
	error = vmc_link_open_circuit(trunk->link, wishes, is_hub,
				      &terminal->slot);
	if (error)
		return error;
	terminal->has_slot = true;
	circuit = vmc_terminal_circuit(terminal);
	circuit->terminal = terminal;
	circuit->names[!VMC_UPLINK_END] = *vm_name;
	circuit->names[VMC_UPLINK_END] = *remote;
	circuit->opened_ms = vmc_loop_now_ms();
	vmc_end_init(&terminal->end, trunk->tx, trunk->rx, terminal->slot,
		     circuit->offsets[VMC_UPLINK_END],
		     circuit->bytes[VMC_UPLINK_END],
		     circuit->offsets[!VMC_UPLINK_END],
		     circuit->bytes[!VMC_UPLINK_END]);
	vmc_bell_seat(&trunk->bell, terminal->slot);
	return 0;
}

/**
 * vmc_terminal_answer - give the guest the circuit that it dialled
 * @terminal: without a circuit; its link is up
 * @dial: answered with CONNECTED and freed, if there is room
 *
 * Return: 0; -ENOSPC when slots or ring space are used up, -EDQUOT when the VM
 * is at its limit: the dial is still the caller's to answer.
 */
int vmc_terminal_answer(struct vmc_terminal *terminal, struct vmc_dial *dial)
{
	const uint32_t wishes[2] = { dial->tx_bytes, dial->rx_bytes };
	struct vmc_circuit *circuit;
	unsigned int me = dial->end;
	int error;

	error = take_circuit(terminal, &dial->local, &dial->remote, wishes,
			     dial->hub);
	if (error)
		return error;
	circuit = vmc_terminal_circuit(terminal);
	circuit->dialler = me;
	circuit->is_datagram = dial->is_datagram;
	vmc_circuit_step(circuit, me, VMC_EVENT_CONNECT);
	vmc_circuit_step(circuit, me, VMC_EVENT_ESTABLISH);
	vmc_circuit_step(circuit, !me, VMC_EVENT_OFFER);
	vmc_circuit_step(circuit, !me, VMC_EVENT_ESTABLISH);
	if (!dial->hub) {
		dial->vm->stats.circuits_opened++;
		dial->vm->stats.relays_out++;
	}
	vmc_notice_connected(terminal->trunk->link, me, terminal->slot,
			     dial->cookie);
	vmc_dial_remove(&dial->vm->dials, dial);
	return 0;
}

/**
 * vmc_terminal_offer - offer the guest a circuit
 * @terminal: without a circuit; its link is up
 * @vm_name: the name of the VM's end
 * @remote: the name of the outside's end, as the guest shall see it
 * @is_datagram: what the circuit carries
 * @wishes: wished bytes of the ring that each end writes, 0: default
 * @listener: of the guest, 0 for datagrams
 *
 * Return: 0, or as vmc_terminal_answer().
 */
int vmc_terminal_offer(struct vmc_terminal *terminal,
		       const struct vmc_name *vm_name,
		       const struct vmc_name *remote, bool is_datagram,
		       const uint32_t wishes[2], uint32_t listener)
{
	struct vmc_circuit *circuit;
	int error;

	error = take_circuit(terminal, vm_name, remote, wishes, false);
	if (error)
		return error;
	circuit = vmc_terminal_circuit(terminal);
	circuit->dialler = VMC_UPLINK_END;
	circuit->is_datagram = is_datagram;
	vmc_circuit_step(circuit, VMC_UPLINK_END, VMC_EVENT_CONNECT);
	vmc_link_offer(terminal->trunk->link, !VMC_UPLINK_END, terminal->slot,
		       listener);
	vmc_notice_offer(terminal->trunk->link, !VMC_UPLINK_END,
			 terminal->slot, listener);
	return 0;
}

/**
 * vmc_terminal_reset - tell the guest that the circuit broke
 * @terminal: with a circuit
 * @error: positive errno that the guest hears, unless it closed already
 */
void vmc_terminal_reset(struct vmc_terminal *terminal, int error)
{
	struct vmc_circuit *circuit = vmc_terminal_circuit(terminal);

	if (!vmc_terminal_vm(terminal) ||
	    circuit->states[!VMC_UPLINK_END] == VMC_STATE_CLOSED)
		return;
	vmc_link_step(terminal->trunk->link, !VMC_UPLINK_END, terminal->slot,
		      VMC_EVENT_BREAK);
	vmc_notice_reset(terminal->trunk->link, !VMC_UPLINK_END,
			 terminal->slot, error);
}

/**
 * vmc_terminal_count_lie - the guest said what cannot be
 * @terminal: with a circuit, which the owner is to reset
 */
void vmc_terminal_count_lie(struct vmc_terminal *terminal)
{
	struct vmc_vm *vm = vmc_terminal_vm(terminal);

	if (!vm)
		return;
	vm->stats.lies++;
	vmc_log_limited(&vm->log_limit, VMC_LOG_WARNING,
			"vm \"%s\": an index of circuit %u of the uplink is impossible, it is reset",
			vm->config->name, terminal->slot);
}

/**
 * vmc_terminal_ring - tell the guest to look at the circuit
 * @terminal: with a circuit
 * @is_wanted: nothing is done if not
 */
void vmc_terminal_ring(struct vmc_terminal *terminal, bool is_wanted)
{
	if (is_wanted)
		vmc_trunk_ring(terminal->trunk, terminal->slot);
}
