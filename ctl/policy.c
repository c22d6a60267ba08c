// SPDX-License-Identifier: GPL-2.0-or-later
/* vmcircuitctl policy: the rules, their reload, and what they would decide. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/request.h"
#include "ctl/table.h"

/* 64 items of a rule, each a network of IPv6 at most. */
#define LIST_BYTES	4096

static const char * const rule_titles[] = {
	"RULE", "ACTION", "DIRECTION", "VM", "PROTOCOL", "REMOTE", "PORTS",
	"OVER", "DECIDED",
};

static const char * const default_titles[] = { "NO RULE FITS", "DECIDED" };

struct tables {
	struct vmc_table rules;
	struct vmc_table defaults;
};

static struct json_object *new_request(const char *command)
{
	struct json_object *request = json_object_new_object();

	json_object_object_add(request, "command",
			       json_object_new_string(command));
	return request;
}

static void add(struct json_object *request, const char *key,
		const char *value)
{
	json_object_object_add(request, key, json_object_new_string(value));
}

static void add_list(struct vmc_table *table, struct json_object *line,
		     const char *key)
{
	char text[LIST_BYTES];

	vmc_line_list(line, key, text, sizeof(text));
	vmc_table_add(table, "%s", *text ? text : "any");
}

/* How the host carries it: "mptcp, bbr, proxy corp". */
static const char *carriage_of(struct json_object *line, char text[128])
{
	const char *congestion = vmc_line_text(line, "congestion");
	const char *proxy = vmc_line_text(line, "proxy");

	snprintf(text, 128, "%s%s%s%s%s", vmc_line_text(line, "transport"),
		 *congestion ? ", " : "", congestion,
		 *proxy ? ", proxy " : "", proxy);
	return text;
}

static void take_rule(struct json_object *line, void *owner)
{
	struct tables *tables = owner;
	struct vmc_table *table = &tables->rules;
	char text[128];

	if (!strcmp(vmc_line_text(line, "type"), "default")) {
		vmc_table_add(&tables->defaults, "%s",
			      vmc_line_text(line, "reason"));
		vmc_table_add(&tables->defaults, "%llu",
			      vmc_line_number(line, "decided"));
		return;
	}
	vmc_table_add(table, "%s", vmc_line_text(line, "name"));
	vmc_table_add(table, "%s", vmc_line_text(line, "action"));
	vmc_table_add(table, "%s", vmc_line_text(line, "direction"));
	add_list(table, line, "vm");
	vmc_table_add(table, "%s", vmc_line_text(line, "protocol"));
	add_list(table, line, "remote");
	add_list(table, line, "ports");
	vmc_table_add(table, "%s", carriage_of(line, text));
	vmc_table_add(table, "%llu", vmc_line_number(line, "decided"));
}

static int list(const struct vmc_ctl *ctl)
{
	struct tables tables;
	int status;

	vmc_table_init(&tables.rules, rule_titles, "--------n");
	vmc_table_init(&tables.defaults, default_titles, "-n");
	status = vmc_request_send(ctl, new_request("policy-list"), take_rule,
				  &tables);
	vmc_table_print(&tables.rules);
	vmc_table_print(&tables.defaults);
	return status;
}

static void take_reload(struct json_object *line, void *owner)
{
	const char *notice = vmc_line_text(line, "notice");

	(void)owner;
	printf("rules in force: %llu\n", vmc_line_number(line, "rules"));
	if (*notice)
		fprintf(stderr, "vmcircuitctl: %s\n", notice);
}

static int reload(const struct vmc_ctl *ctl)
{
	int status = vmc_request_send(ctl, new_request("policy-reload"),
				      take_reload, NULL);

	return status == EXIT_USAGE ? EXIT_REFUSED : status;
}

static void take_verdict(struct json_object *line, void *owner)
{
	bool is_allowed = !strcmp(vmc_line_text(line, "allowed"), "true");
	const char *published = vmc_line_text(line, "published");
	const char *target = vmc_line_text(line, "target");
	char text[128];

	(void)owner;
	printf("%s: %s", is_allowed ? "allowed" : "denied",
	       vmc_line_text(line, "reason"));
	if (*target)
		printf(", to %s over %s", target, carriage_of(line, text));
	if (*published)
		printf(", published as %s", published);
	putchar('\n');
}

/* VM PROTOCOL ADDRESS:PORT, VM icmp ADDRESS, or VM PROTOCOL from ADDRESS to PORT. */
static int test(const struct vmc_ctl *ctl)
{
	struct vmc_ctl with_status = *ctl;
	char **words = ctl->words + 1;
	int nr = ctl->nr_words - 1;
	bool is_in = nr == 6 && !strcmp(words[2], "from") &&
		     !strcmp(words[4], "to");
	struct json_object *request;
	unsigned long port;
	char *end;

	if (!is_in && nr != 3)
		return vmc_command_wrong("policy test takes VM PROTOCOL ADDRESS:PORT, VM icmp ADDRESS, or VM PROTOCOL from ADDRESS to PORT",
					 "");
	request = new_request("policy-test");
	add(request, "vm", words[0]);
	add(request, "protocol", words[1]);
	add(request, "direction", is_in ? "in" : "out");
	add(request, "remote", words[is_in ? 3 : 2]);
	if (is_in) {
		/* What is no number is told by the switch, as 0 is. */
		port = strtoul(words[5], &end, 10);
		json_object_object_add(request, "port",
				       json_object_new_uint64(*end ? 0 : port));
	}
	with_status.unreachable = EXIT_NO_VERDICT;
	return vmc_request_send(&with_status, request, take_verdict, NULL);
}

/**
 * vmc_command_policy - list, reload or test the policy
 * @ctl: the command line, with words
 *
 * Return: the exit status.
 */
int vmc_command_policy(const struct vmc_ctl *ctl)
{
	const char *word = ctl->nr_words ? ctl->words[0] : "";

	if (!strcmp(word, "test"))
		return test(ctl);
	if (ctl->nr_words > 1)
		return vmc_command_wrong("unexpected argument", ctl->words[1]);
	if (!strcmp(word, "list"))
		return list(ctl);
	if (!strcmp(word, "reload"))
		return reload(ctl);
	return vmc_command_wrong("policy is followed by list, reload or test",
				 word);
}
