// SPDX-License-Identifier: GPL-2.0-or-later
/* vmcircuitctl show: one VM's listeners, links and circuits. */
#include <stdio.h>
#include <string.h>

#include "ctl/request.h"
#include "ctl/table.h"

static const char * const listener_titles[] = {
	"LISTENER", "LOCAL", "IPV6 ONLY",
};

static const char * const link_titles[] = {
	"LINK", "PEER", "STATE", "CIRCUITS", "RING SPACE FREE",
};

static const char * const circuit_titles[] = {
	"CIRCUIT", "LOCAL", "", "REMOTE", "PEER", "STATE", "SEND RING",
	"RECEIVE RING", "AGE",
};

struct tables {
	struct vmc_table listeners;
	struct vmc_table links;
	struct vmc_table circuits;
};

static void take_vm(struct json_object *line)
{
	bool is_vm = !strcmp(vmc_line_text(line, "kind"), "vm");

	printf("%s %s", is_vm ? "VM" : "Endpoint", vmc_line_text(line, "name"));
	if (vmc_line_number(line, "pid"))
		printf(", process %llu,", vmc_line_number(line, "pid"));
	printf(" in network %s is %s: %llu circuits, %llu listeners\n",
	       vmc_line_text(line, "network"),
	       vmc_line_text(line, "state"),
	       vmc_line_number(line, "circuits"),
	       vmc_line_number(line, "listeners"));
}

static void take_listener(struct json_object *line, struct vmc_table *table)
{
	bool is_v6only = !strcmp(vmc_line_text(line, "v6only"), "true");

	vmc_table_add(table, "%llu", vmc_line_number(line, "listener"));
	vmc_table_add(table, "%s", vmc_line_text(line, "local"));
	vmc_table_add(table, "%s", is_v6only ? "yes" : "no");
}

static void take_link(struct json_object *line, struct vmc_table *table)
{
	char text[16];

	vmc_table_add(table, "%llu", vmc_line_number(line, "link"));
	vmc_table_add(table, "%s", vmc_line_text(line, "peer"));
	vmc_table_add(table, "%s", vmc_line_text(line, "state"));
	vmc_table_add(table, "%llu", vmc_line_number(line, "circuits"));
	vmc_table_add(table, "%s", vmc_text_bytes(
			      vmc_line_number(line, "tx_free_bytes"), text));
}

static void take_circuit(struct json_object *line, struct vmc_table *table)
{
	bool is_dialler = !strcmp(vmc_line_text(line, "dialled"), "true");
	char text[16];

	vmc_table_add(table, "%llu:%llu", vmc_line_number(line, "link"),
		      vmc_line_number(line, "slot"));
	vmc_table_add(table, "%s", vmc_line_text(line, "local"));
	vmc_table_add(table, "%s", is_dialler ? "->" : "<-");
	vmc_table_add(table, "%s", vmc_line_text(line, "remote"));
	vmc_table_add(table, "%s", vmc_line_text(line, "peer"));
	vmc_table_add(table, "%s", vmc_line_text(line, "state"));
	vmc_table_add(table, "%s", vmc_text_bytes(
			      vmc_line_number(line, "tx_bytes"), text));
	vmc_table_add(table, "%s", vmc_text_bytes(
			      vmc_line_number(line, "rx_bytes"), text));
	vmc_table_add(table, "%s", vmc_text_ms(
			      vmc_line_number(line, "age_ms"), text));
}

static void take(struct json_object *line, void *owner)
{
	const char *type = vmc_line_text(line, "type");
	struct tables *tables = owner;

	if (!strcmp(type, "vm"))
		take_vm(line);
	else if (!strcmp(type, "listener"))
		take_listener(line, &tables->listeners);
	else if (!strcmp(type, "link"))
		take_link(line, &tables->links);
	else if (!strcmp(type, "circuit"))
		take_circuit(line, &tables->circuits);
}

/**
 * vmc_command_show - show one VM
 * @ctl: the command line; it names a VM
 *
 * Return: the exit status.
 */
int vmc_command_show(const struct vmc_ctl *ctl)
{
	struct tables tables;
	int status;

	vmc_table_init(&tables.listeners, listener_titles, "n--");
	vmc_table_init(&tables.links, link_titles, "n--nn");
	vmc_table_init(&tables.circuits, circuit_titles, "------nnn");
	status = vmc_request(ctl, "show", take, &tables);
	vmc_table_print(&tables.listeners);
	vmc_table_print(&tables.links);
	vmc_table_print(&tables.circuits);
	return status;
}
