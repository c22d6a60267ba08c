// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests on the control socket and the lines that answer them. Owns
 * nothing: it reads the switch's state. Called by control_server.c; what
 * concerns the policy is in control_policy.c.
 *
 * A request is one JSON object: {"command": "list" | "show" | "stats",
 * "vm": NAME}; "show" needs the VM, "stats" may have one. The answer is lines
 * of one object each, with the member "type": vm, listener, link, circuit,
 * stats; the last is {"type": "end"} or {"type": "error", "error": TEXT}.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "switch/address.h"
#include "switch/control_policy.h"
#include "switch/control_reply.h"
#include "switch/line.h"

enum part {
	PART_VM,
	PART_LISTENERS,
	PART_LINKS,
	PART_CIRCUITS,
	PART_NONE,
};

static const struct {
	const char *name;
	enum vmc_control_command command;
	bool needs_vm;
} commands[] = {
	{ "list",		VMC_CONTROL_LIST,		false },
	{ "show",		VMC_CONTROL_SHOW,		true },
	{ "stats",		VMC_CONTROL_STATS,		false },
	{ "policy-list",	VMC_CONTROL_POLICY_LIST,	false },
	{ "policy-reload",	VMC_CONTROL_POLICY_RELOAD,	false },
	{ "policy-test",	VMC_CONTROL_POLICY_TEST,	true },
};

#define NR_COMMANDS	(sizeof(commands) / sizeof(commands[0]))

/*
 * Whether there is something to say of it: of an endpoint, the processes that
 * are there, or that none is.
 */
static bool is_told(const struct vmc_vm_table *table, unsigned int i)
{
	const struct vmc_vm *vm = &table->vms[i];
	unsigned int k;

	if (!vm->config->is_endpoint || vm->process.fd >= 0)
		return true;
	for (k = 0; k < table->nr; k++) {
		if (table->vms[k].config == vm->config &&
		    (table->vms[k].process.fd >= 0 || k < i))
			return false;
	}
	return true;
}

static int find_vm(const struct vmc_broker *broker, const char *name,
		   unsigned int *ret_vm)
{
	unsigned int i;

	for (i = 0; i < broker->table.nr; i++) {
		if (strcmp(broker->table.vms[i].config->name, name) ||
		    !is_told(&broker->table, i))
			continue;
		*ret_vm = i;
		return 0;
	}
	return -ENOENT;
}

static int read_request(const struct vmc_broker *broker,
			struct json_object *request,
			struct vmc_control_reply *reply,
			const char **ret_complaint)
{
	struct json_object *command, *vm;
	size_t i;

	if (!json_object_is_type(request, json_type_object) ||
	    !json_object_object_get_ex(request, "command", &command) ||
	    !json_object_is_type(command, json_type_string)) {
		*ret_complaint = "the request has no command";
		return -EINVAL;
	}
	for (i = 0; i < NR_COMMANDS; i++) {
		if (!strcmp(commands[i].name, json_object_get_string(command)))
			break;
	}
	if (i == NR_COMMANDS) {
		*ret_complaint = "the command is unknown";
		return -EINVAL;
	}
	reply->command = commands[i].command;
	reply->is_one_vm = json_object_object_get_ex(request, "vm", &vm);
	if (!reply->is_one_vm && commands[i].needs_vm) {
		*ret_complaint = "the command needs a VM";
		return -EINVAL;
	}
	if (!reply->is_one_vm)
		return 0;
	if (!json_object_is_type(vm, json_type_string) ||
	    find_vm(broker, json_object_get_string(vm), &reply->vm)) {
		*ret_complaint = "there is no such VM";
		return -ENOENT;
	}
	if (reply->command == VMC_CONTROL_POLICY_TEST &&
	    broker->table.vms[reply->vm].config->is_endpoint) {
		*ret_complaint = "an endpoint does not use the uplink";
		return -EINVAL;
	}
	if (reply->command == VMC_CONTROL_POLICY_TEST)
		return vmc_control_policy_read(request, reply, ret_complaint);
	return 0;
}

/**
 * vmc_control_parse - understand a request
 * @broker: the switch
 * @raw_line: the request, unchecked
 * @bytes: its length
 * @ret_reply: where the answer begins
 * @ret_complaint: what is wrong with the request, on failure
 *
 * Return: 0, -EINVAL or -ENOENT.
 */
int vmc_control_parse(const struct vmc_broker *broker, const char *raw_line,
		      size_t bytes, struct vmc_control_reply *ret_reply,
		      const char **ret_complaint)
{
	struct vmc_control_reply reply = { 0 };
	struct json_tokener *tokener;
	struct json_object *request;
	int error = -EINVAL;

	*ret_complaint = "the request is not JSON";
	tokener = json_tokener_new_ex(4);
	if (!tokener)
		return -ENOMEM;
	request = json_tokener_parse_ex(tokener, raw_line, (int)bytes);
	if (request)
		error = read_request(broker, request, &reply, ret_complaint);
	json_object_put(request);
	json_tokener_free(tokener);
	if (!error)
		*ret_reply = reply;
	return error;
}

static const char *vm_state(const struct vmc_vm *vm)
{
	if (vm->is_welcome)
		return "attached";
	if (vm->is_attached)
		return "waiting";
	if (!vm->config->is_endpoint &&
	    vmc_vhost_user_is_open(&vm->connection))
		return "connected";
	return "absent";
}

/* Of an endpoint's process, to tell it from others. */
static void add_pid(struct json_object *line, const struct vmc_vm *vm)
{
	if (vm->pid)
		vmc_line_add_number(line, "pid", (uint64_t)vm->pid);
}

static struct json_object *tell_vm(const struct vmc_vm *vm)
{
	struct json_object *line = vmc_line_new("vm");
	struct json_object *addresses = json_object_new_array();
	char text[VMC_ADDRESS_TEXT_BYTES];
	unsigned int i;

	vmc_line_add_text(line, "name", vm->config->name);
	vmc_line_add_text(line, "network", vm->config->network);
	vmc_line_add_text(line, "state", vm_state(vm));
	for (i = 0; i < vm->config->nr_addresses; i++)
		json_object_array_add(addresses, json_object_new_string(
			vmc_address_format(&vm->config->addresses[i], text)));
	json_object_object_add(line, "addresses", addresses);
	vmc_line_add_number(line, "circuits", vm->nr_circuits);
	vmc_line_add_number(line, "listeners", vm->listeners.nr);
	vmc_line_add_text(line, "kind", vmc_vm_kind(vm));
	add_pid(line, vm);
	return line;
}

static void tell_uplink_datagrams(struct json_object *line,
				  const struct vmc_vm *vm)
{
	const struct vmc_uplink_drops *drops = &vm->uplink_drops;

	vmc_line_add_number(line, "datagrams_out", vm->stats.datagrams_out);
	vmc_line_add_number(line, "datagrams_in", vm->stats.datagrams_in);
	vmc_line_add_number(line, "datagrams_no_room", drops->no_room);
	vmc_line_add_number(line, "datagrams_unwanted", drops->unwanted);
	vmc_line_add_number(line, "datagrams_undeliverable",
			    drops->undeliverable);
	vmc_line_add_number(line, "datagrams_too_large", drops->too_large);
	vmc_line_add_number(line, "host_sockets", vm->nr_datagram_sockets);
}

static struct json_object *tell_stats(const struct vmc_vm *vm)
{
	const struct vmc_window *window = &vm->connection.window;
	const struct vmc_vm_stats *stats = &vm->stats;
	struct json_object *line = vmc_line_new("stats");
	struct vmc_drops drops = vmc_drops_of(vm);

	vmc_line_add_text(line, "name", vm->config->name);
	add_pid(line, vm);
	vmc_line_add_number(line, "requests", stats->requests);
	vmc_line_add_number(line, "events", stats->events);
	vmc_line_add_number(line, "kicks_in", stats->kicks_in);
	vmc_line_add_number(line, "kicks_out", stats->kicks_out);
	vmc_line_add_number(line, "circuits_now", vm->nr_circuits);
	vmc_line_add_number(line, "circuits_opened", stats->circuits_opened);
	vmc_line_add_number(line, "circuits_refused", stats->circuits_refused);
	vmc_line_add_number(line, "circuits_reset", stats->circuits_reset);
	vmc_line_add_number(line, "listeners", vm->listeners.nr);
	vmc_line_add_number(line, "stale", stats->stale);
	vmc_line_add_number(line, "lies", stats->lies);
	vmc_line_add_number(line, "attachments", stats->attachments);
	vmc_line_add_number(line, "ring_bytes", vm->ring_bytes);
	vmc_line_add_number(line, "over_quota", stats->over_quota);
	vmc_line_add_number(line, "denied", stats->denied);
	vmc_line_add_number(line, "relays_out", stats->relays_out);
	vmc_line_add_number(line, "relays_in", stats->relays_in);
	vmc_line_add_number(line, "bytes_out", stats->bytes_out);
	vmc_line_add_number(line, "bytes_in", stats->bytes_in);
	vmc_line_add_number(line, "packets_out", stats->packets_out);
	vmc_line_add_number(line, "packets_in", stats->packets_in);
	vmc_line_add_number(line, "packets_refused", stats->packets_refused);
	vmc_line_add_number(line, "packets_lost", stats->packets_lost);
	vmc_line_add_number(line, "datagrams_unsent", drops.unsent);
	vmc_line_add_number(line, "datagrams_refused", drops.refused);
	tell_uplink_datagrams(line, vm);
	vmc_line_add_number(line, "segments_mapped", window->nr_mapped);
	vmc_line_add_number(line, "mapping_requests", window->nr_requests);
	vmc_line_add_number(line, "mapping_us", window->request_us);
	return line;
}

static struct json_object *tell_listener(const struct vmc_listener *listener)
{
	struct json_object *line = vmc_line_new("listener");
	char text[VMC_ADDRESS_TEXT_BYTES];

	vmc_line_add_number(line, "listener", listener->id);
	vmc_line_add_text(line, "local", vmc_name_format(&listener->local, text));
	json_object_object_add(line, "v6only",
			       json_object_new_boolean(listener->is_v6only));
	return line;
}

static struct json_object *tell_link(const struct vmc_vm *vm, uint32_t id)
{
	static const char * const states[] = {
		[VMC_LINK_MAPPING]	= "mapping",
		[VMC_LINK_UP]		= "up",
		[VMC_LINK_DOWN]		= "down",
	};
	const struct vmc_link *link = vm->links[id];
	unsigned int end = vm->link_ends[id];
	struct json_object *line = vmc_line_new("link");

	vmc_line_add_number(line, "link", id);
	vmc_line_add_text(line, "peer", vmc_link_peer_name(link, end));
	vmc_line_add_text(line, "state", states[link->state]);
	vmc_line_add_number(line, "circuits", link->circuits.nr_open -
			    (link->trunk && vm->hub));
	vmc_line_add_number(line, "tx_free_bytes", (uint64_t)link->rings[end].nr_free *
					  VMC_RING_MIN_BYTES);
	return line;
}

static struct json_object *tell_circuit(const struct vmc_vm *vm, uint32_t id,
					uint32_t slot)
{
	const struct vmc_link *link = vm->links[id];
	const struct vmc_circuit *circuit = &link->circuits.circuits[slot];
	unsigned int end = vm->link_ends[id];
	struct json_object *line = vmc_line_new("circuit");
	char text[VMC_ADDRESS_TEXT_BYTES];

	vmc_line_add_number(line, "link", id);
	vmc_line_add_number(line, "slot", slot);
	vmc_line_add_text(line, "local", vmc_name_format(&circuit->names[end], text));
	vmc_line_add_text(line, "remote", vmc_name_format(&circuit->names[!end], text));
	vmc_line_add_text(line, "state", vmc_state_name(circuit->states[end]));
	vmc_line_add_text(line, "peer", vmc_link_peer_name(link, end));
	json_object_object_add(line, "dialled",
			       json_object_new_boolean(circuit->dialler == end));
	json_object_object_add(line, "datagram",
			       json_object_new_boolean(circuit->is_datagram));
	vmc_line_add_number(line, "tx_bytes", circuit->bytes[end]);
	vmc_line_add_number(line, "rx_bytes", circuit->bytes[!end]);
	vmc_line_add_number(line, "age_ms", vmc_loop_now_ms() - circuit->opened_ms);
	return line;
}

static void next_part(struct vmc_control_reply *reply)
{
	reply->part++;
	reply->major = 0;
	reply->minor = 0;
}

static struct json_object *next_listener(const struct vmc_vm *vm,
					 struct vmc_control_reply *reply)
{
	const struct vmc_listener *listener;
	uint32_t i;

	for (; reply->major < VMC_LISTENER_BUCKETS; reply->major++) {
		i = 0;
		LIST_FOREACH(listener, &vm->listeners.by_port[reply->major],
			     by_port) {
			if (i++ < reply->minor)
				continue;
			reply->minor++;
			return tell_listener(listener);
		}
		reply->minor = 0;
	}
	next_part(reply);
	return NULL;
}

static struct json_object *next_link(const struct vmc_vm *vm,
				     struct vmc_control_reply *reply)
{
	while (reply->major < VMC_MAX_LINKS) {
		if (vm->links[reply->major++])
			return tell_link(vm, reply->major - 1);
	}
	next_part(reply);
	return NULL;
}

static struct json_object *next_circuit(const struct vmc_vm *vm,
					struct vmc_control_reply *reply)
{
	const struct vmc_circuit *circuit;
	const struct vmc_link *link;
	uint32_t slot;

	for (; reply->major < VMC_MAX_LINKS; reply->major++) {
		link = vm->links[reply->major];
		while (link && link->state == VMC_LINK_UP &&
		       reply->minor < link->circuits.nr_fresh) {
			slot = reply->minor++;
			circuit = &link->circuits.circuits[slot];
			/* That to the hub is no program's. */
			if (circuit->states[0] != VMC_STATE_FREE &&
			    !circuit->is_hub)
				return tell_circuit(vm, reply->major, slot);
		}
		reply->minor = 0;
	}
	next_part(reply);
	return NULL;
}

static struct json_object *next_of_vm(const struct vmc_vm *vm,
				      struct vmc_control_reply *reply)
{
	switch ((enum part)reply->part) {
	case PART_VM:
		next_part(reply);
		return reply->command == VMC_CONTROL_STATS ? tell_stats(vm) :
							     tell_vm(vm);
	case PART_LISTENERS:
		return next_listener(vm, reply);
	case PART_LINKS:
		return next_link(vm, reply);
	case PART_CIRCUITS:
		return next_circuit(vm, reply);
	case PART_NONE:
		break;
	}
	return NULL;
}

/* The next that the answer is about: of one name all processes. */
static unsigned int next_vm(const struct vmc_vm_table *table,
			    const struct vmc_control_reply *reply)
{
	unsigned int i = reply->vm + 1;

	if (i < table->nr && reply->is_one_vm &&
	    table->vms[i].config != table->vms[reply->vm].config)
		return table->nr;
	return i;
}

static struct json_object *next_line(const struct vmc_broker *broker,
				     struct vmc_control_reply *reply)
{
	unsigned int nr_parts = reply->command == VMC_CONTROL_SHOW ?
				PART_NONE : PART_LISTENERS;
	struct json_object *line;

	while (reply->vm < broker->table.nr) {
		while (reply->part < nr_parts &&
		       is_told(&broker->table, reply->vm)) {
			line = next_of_vm(&broker->table.vms[reply->vm],
					  reply);
			if (line)
				return line;
		}
		reply->part = PART_VM;
		reply->vm = next_vm(&broker->table, reply);
	}
	return NULL;
}

/**
 * vmc_control_next - the next line of an answer
 * @broker: the switch
 * @reply: from vmc_control_parse(); is_over is set with the last line
 *
 * Return: the line, the caller's to free.
 */
struct json_object *vmc_control_next(struct vmc_broker *broker,
				     struct vmc_control_reply *reply)
{
	struct json_object *line;

	if (reply->command < VMC_CONTROL_POLICY_LIST)
		line = next_line(broker, reply);
	else
		line = vmc_control_policy_next(broker, reply);
	if (line)
		return line;
	reply->is_over = true;
	line = vmc_line_new("end");
	vmc_line_add_number(line, "uptime_ms", vmc_loop_now_ms() - broker->started_ms);
	return line;
}
