// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A host process as an end of circuits: the carrier that brings messages over
 * a Unix socket, and with them the descriptors that a process maps and waits
 * on. Owns the socket. Called by endpoint.c, and by vm.c through struct
 * vmc_carrier.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "switch/link.h"
#include "switch/process.h"
#include "switch/wire.h"

/* Messages that are handled before others get their turn. */
#define TURN	64

/* LINK_UP has both segments and the wake area, OFFER and CONNECTED a wire. */
#define MAX_FDS	3

/* What goes with a message. */
struct parcel {
	unsigned int nr;
	int fds[MAX_FDS];
	struct vmc_wire *wire;	/* whose descriptor it is; NULL: a link's */
	unsigned int end;
};

static struct vmc_link *find_link(const struct vmc_vm *vm, __le32 raw_link,
				  unsigned int *ret_end)
{
	uint32_t id = le32toh(raw_link);

	*ret_end = vm->link_ends[id];
	return vm->links[id];
}

/* The segment that the process writes, a look at the other, the wake area. */
static int pack_segments(struct vmc_vm *vm, const struct vmc_link_up *up,
			 struct parcel *parcel)
{
	const struct vmc_link *link = find_link(vm, up->link, &parcel->end);
	int reader;

	if (!link || link->ends[parcel->end].generation !=
		     le32toh(up->generation))
		return 0;
	reader = vmc_segment_open_reader(&link->segments[!parcel->end]);
	if (reader < 0)
		return reader;
	parcel->fds[0] = link->segments[parcel->end].fd;
	parcel->fds[1] = reader;
	parcel->fds[2] = link->wake_area.fd;
	parcel->nr = 3;
	return 0;
}

static void pack_wire(struct vmc_vm *vm, const struct vmc_circuit_id *id,
		      struct parcel *parcel)
{
	struct vmc_link *link = find_link(vm, id->link, &parcel->end);
	struct vmc_circuit *circuit;

	if (!link || link->state != VMC_LINK_UP)
		return;
	circuit = &link->circuits.circuits[le32toh(id->slot)];
	if (circuit->generation != le32toh(id->generation) || !circuit->wire)
		return;
	parcel->wire = circuit->wire;
	parcel->fds[0] = circuit->wire->fds[parcel->end];
	parcel->nr = parcel->fds[0] >= 0;
}

/*
 * A link or a circuit that is over already has none; what ends it is the next
 * that the process hears of it.
 */
static int pack(struct vmc_vm *vm, const struct vmc_msg *msg,
		struct parcel *parcel)
{
	switch (le16toh(msg->type)) {
	case VMC_MSG_LINK_UP:
		return pack_segments(vm, &msg->link_up, parcel);
	case VMC_MSG_OFFER:
		pack_wire(vm, &msg->offer.id, parcel);
		break;
	case VMC_MSG_CONNECTED:
		pack_wire(vm, &msg->connected.id, parcel);
		break;
	}
	return 0;
}

static void unpack(struct parcel *parcel, bool is_sent)
{
	if (parcel->nr && !parcel->wire) {
		close(parcel->fds[1]);
	} else if (parcel->nr && is_sent) {
		close(parcel->fds[0]);
		parcel->wire->fds[parcel->end] = -1;
	}
}

static int send_parcel(int fd, const struct vmc_msg *msg, size_t bytes,
		       const struct parcel *parcel)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} control = { 0 };
	struct iovec part = { (void *)msg, bytes };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	size_t fd_bytes = parcel->nr * sizeof(int);
	struct cmsghdr *cmsg;

	if (parcel->nr) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(fd_bytes);
		cmsg = CMSG_FIRSTHDR(&header);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(fd_bytes);
		memcpy(CMSG_DATA(cmsg), parcel->fds, fd_bytes);
	}
	if (sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

/* It is over, and nobody lied; @has_left: the process ended it. */
static void end(struct vmc_vm *vm, bool has_left)
{
	vm->has_left = has_left;
	vm->is_doomed = true;
	vmc_loop_defer(vm->loop, &vm->task);
}

static int give(struct vmc_vm *vm, const struct vmc_msg *msg, size_t bytes)
{
	struct parcel parcel = { 0 };
	bool has_left;
	int error;

	error = pack(vm, msg, &parcel);
	if (!error) {
		error = send_parcel(vm->process.fd, msg, bytes, &parcel);
		unpack(&parcel, !error);
	}
	if (!error || error == -EAGAIN)
		return error;
	/* That it left meanwhile is nothing to complain of. */
	has_left = error == -EPIPE || error == -ECONNRESET;
	if (!has_left)
		vmc_log_limited(&vm->log_limit, VMC_LOG_WARNING,
				"endpoint \"%s\": process %d cannot be told: %s",
				vm->config->name, vm->pid, strerror(-error));
	end(vm, has_left);
	return error;
}

static void flushed(struct vmc_vm *vm, bool is_all)
{
	uint32_t events = is_all ? 0 : EPOLLOUT;

	/* Who does not listen has nothing to say. */
	if (!vmc_outbox_is_crowded(&vm->outbox))
		events |= EPOLLIN;
	if (events == vm->process_events)
		return;
	vm->process_events = events;
	vmc_loop_change(vm->loop, &vm->process, events);
}

/* The socket tells again of what is left. */
static void go_on(struct vmc_vm *vm)
{
	(void)vm;
}

static void take(struct vmc_vm *vm)
{
	unsigned int turn = TURN;
	struct vmc_msg msg;
	ssize_t bytes;

	while (turn-- && !vm->is_doomed &&
	       !vmc_outbox_is_crowded(&vm->outbox)) {
		memset(&msg, 0, sizeof(msg));
		bytes = recv(vm->process.fd, &msg, sizeof(msg),
			     MSG_DONTWAIT | MSG_TRUNC);
		if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (bytes <= 0) {
			end(vm, true);
			break;
		}
		if ((size_t)bytes != le16toh(msg.bytes)) {
			vmc_vm_fault(vm, "message of %zd bytes that says %u",
				     bytes, le16toh(msg.bytes));
			break;
		}
		vmc_vm_take(vm, &msg, (size_t)bytes);
	}
	vmc_loop_defer(vm->loop, &vm->task);
}

static void ready(struct vmc_watch *watch, uint32_t events)
{
	struct vmc_vm *vm = vmc_container_of(watch, struct vmc_vm, process);

	if (vm->is_doomed)
		return;
	if (events & EPOLLIN)
		take(vm);
	else if (events & (EPOLLHUP | EPOLLERR))
		end(vm, true);
	else
		vmc_loop_defer(vm->loop, &vm->task);
}

static void init(struct vmc_vm *vm)
{
	vm->process = (struct vmc_watch){ -1, ready };
}

static void close_socket(struct vmc_vm *vm)
{
	vmc_loop_close(vm->loop, &vm->process);
	vm->pid = 0;
	vm->has_left = false;
}

const struct vmc_carrier vmc_process_carrier = {
	.init		= init,
	.give		= give,
	.flushed	= flushed,
	.go_on		= go_on,
	.close		= close_socket,
};

/**
 * vmc_process_connect - a process takes a seat
 * @vm: the seat, free
 * @fd: its socket; taken over on success
 * @pid: its number, for people
 *
 * Return: 0, or the error of epoll_ctl().
 */
int vmc_process_connect(struct vmc_vm *vm, int fd, pid_t pid)
{
	int error;

	vm->process.fd = fd;
	error = vmc_loop_add(vm->loop, &vm->process, EPOLLIN);
	if (error) {
		vm->process.fd = -1;
		return error;
	}
	vm->process_events = EPOLLIN;
	vm->pid = pid;
	vmc_vm_attach(vm);
	return 0;
}
