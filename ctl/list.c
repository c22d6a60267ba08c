// SPDX-License-Identifier: GPL-2.0-or-later
/* vmcircuitctl list: the VMs, and the endpoints with their processes. */
#include "ctl/request.h"
#include "ctl/table.h"

static const char * const titles[] = {
	"VM", "KIND", "NETWORK", "STATE", "CIRCUITS", "LISTENERS", "ADDRESSES",
};

static void take(struct json_object *line, void *owner)
{
	struct vmc_table *table = owner;
	char addresses[512];

	vmc_line_list(line, "addresses", addresses, sizeof(addresses));
	vmc_table_add(table, "%s", vmc_line_text(line, "name"));
	if (vmc_line_number(line, "pid"))
		vmc_table_add(table, "process %llu",
			      vmc_line_number(line, "pid"));
	else
		vmc_table_add(table, "%s", vmc_line_text(line, "kind"));
	vmc_table_add(table, "%s", vmc_line_text(line, "network"));
	vmc_table_add(table, "%s", vmc_line_text(line, "state"));
	vmc_table_add(table, "%llu", vmc_line_number(line, "circuits"));
	vmc_table_add(table, "%llu", vmc_line_number(line, "listeners"));
	vmc_table_add(table, "%s", addresses);
}

/**
 * vmc_command_list - list the VMs and the processes of endpoints
 * @ctl: the command line
 *
 * Return: the exit status.
 */
int vmc_command_list(const struct vmc_ctl *ctl)
{
	struct vmc_table table;
	int status;

	vmc_table_init(&table, titles, "----nn-");
	status = vmc_request(ctl, "list", take, &table);
	vmc_table_print(&table);
	return status;
}
