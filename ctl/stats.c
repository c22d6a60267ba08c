// SPDX-License-Identifier: GPL-2.0-or-later
/* vmcircuitctl stats: the counters of the VMs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/request.h"
#include "ctl/table.h"

/* What is shown of each counter, in order. */
static const struct {
	const char *key;
	const char *text;
} counters[] = {
	{ "requests",		"requests taken" },
	{ "events",		"events given" },
	{ "kicks_in",		"doorbells taken" },
	{ "kicks_out",		"kicks given" },
	{ "circuits_now",	"circuits now" },
	{ "circuits_opened",	"circuits opened" },
	{ "circuits_refused",	"connects failed" },
	{ "circuits_reset",	"circuits reset by the switch" },
	{ "listeners",		"listeners now" },
	{ "stale",		"messages that crossed" },
	{ "lies",		"lies" },
	{ "attachments",	"attachments" },
	{ "ring_bytes",		"bytes of rings now" },
	{ "over_quota",		"refused over quota" },
	{ "denied",		"denied by the policy" },
	{ "relays_out",		"circuits to the outside" },
	{ "relays_in",		"circuits from the outside" },
	{ "bytes_out",		"bytes to the outside" },
	{ "bytes_in",		"bytes from the outside" },
	{ "datagrams_out",	"datagrams to the outside" },
	{ "datagrams_in",	"datagrams from the outside" },
	{ "datagrams_no_room",	"datagrams dropped, guest's ring full" },
	{ "datagrams_unwanted",	"datagrams dropped, nobody let them in" },
	{ "datagrams_undeliverable", "datagrams the host could not send" },
	{ "datagrams_too_large", "datagrams too large for their path" },
	{ "host_sockets",	"host sockets for datagrams now" },
	{ "packets_out",	"packets taken by the hub" },
	{ "packets_in",		"packets given by the hub" },
	{ "packets_refused",	"packets not passed on" },
	{ "packets_lost",	"packets lost, ring full" },
	{ "datagrams_unsent",	"datagrams given up, ring full" },
	{ "datagrams_refused",	"datagrams not for their socket" },
	{ "segments_mapped",	"segments mapped now" },
	{ "mapping_requests",	"mapping requests" },
	{ "mapping_us",		"time for them, us" },
};

#define NR_COUNTERS	(sizeof(counters) / sizeof(counters[0]))

static const char * const titles[] = { "VM", "COUNTER", "VALUE" };

static void take(struct json_object *line, void *owner)
{
	struct vmc_table *table = owner;
	size_t i;

	for (i = 0; i < NR_COUNTERS; i++) {
		if (vmc_line_number(line, "pid"))
			vmc_table_add(table, "%s, process %llu",
				      vmc_line_text(line, "name"),
				      vmc_line_number(line, "pid"));
		else
			vmc_table_add(table, "%s",
				      vmc_line_text(line, "name"));
		vmc_table_add(table, "%s", counters[i].text);
		vmc_table_add(table, "%llu",
			      vmc_line_number(line, counters[i].key));
	}
}

/**
 * vmc_command_stats - show the counters of all VMs or of one
 * @ctl: the command line
 *
 * Return: the exit status.
 */
int vmc_command_stats(const struct vmc_ctl *ctl)
{
	struct vmc_table table;
	int status;

	vmc_table_init(&table, titles, "--n");
	status = vmc_request(ctl, "stats", take, &table);
	vmc_table_print(&table);
	return status;
}
