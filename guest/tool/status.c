// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmcircuit status: what the module and the redirect say of themselves, for
 * people or as JSON. Counters are shown as the module names them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "commands.h"
#include "loader.h"
#include "module.h"
#include "report.h"
#include "resolver.h"

#define FALLBACK	"fallback_"

struct facts {
	struct vmc_module_status module;
	struct vmc_counter counters[VMC_MAX_COUNTERS];
	int nr_counters;
	int redirect_error;	/* why the redirect is unknown, or 0 */
	bool redirect_on;
	struct vmc_redirect_config redirect;
};

static const char *redirect_mode(const struct facts *facts)
{
	if (facts->redirect_error)
		return "unknown";
	if (!facts->redirect_on)
		return "off";
	return facts->redirect.limited ? "cgroup" : "guest";
}

static void print_bare_address(const struct vmc_module_address *address)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(address->family, address->address, text, sizeof(text));
	fputs(text, stdout);
}

static void print_address(const struct vmc_module_address *address)
{
	print_bare_address(address);
	printf("/%u", address->prefix);
}

/* A JSON string; what is not printable ASCII is escaped. */
static void print_json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void print_json(const struct facts *facts)
{
	printf("{\n  \"loaded\": %s,\n  \"state\": \"%s\",\n  \"name\": ",
	       facts->module.loaded ? "true" : "false",
	       vmc_module_state_name(facts->module.state));
	print_json_string(facts->module.name);
	printf(",\n  \"epoch\": ");
	print_json_string(facts->module.epoch);
	printf(",\n  \"addresses\": [");
	for (unsigned int i = 0; i < facts->module.nr_addresses; i++) {
		printf("%s\"", i ? ", " : "");
		print_address(&facts->module.addresses[i]);
		putchar('"');
	}
	printf("],\n  \"uplink\": %s,\n  \"resolvers\": [",
	       facts->module.has_uplink ? "true" : "false");
	for (unsigned int i = 0; i < facts->module.nr_resolvers; i++) {
		printf("%s\"", i ? ", " : "");
		print_bare_address(&facts->module.resolvers[i]);
		putchar('"');
	}
	printf("],\n  \"redirect\": {\"mode\": \"%s\", \"cgroup\": ",
	       redirect_mode(facts));
	if (!facts->redirect_error && facts->redirect_on &&
	    facts->redirect.limited)
		print_json_string(facts->redirect.cgroup);
	else
		printf("null");
	printf("},\n  \"counters\": {");
	for (int i = 0; i < facts->nr_counters; i++) {
		printf("%s\n    ", i ? "," : "");
		print_json_string(facts->counters[i].name);
		printf(": %" PRIu64, facts->counters[i].value);
	}
	printf("%s}\n}\n", facts->nr_counters ? "\n  " : "");
}

static void print_state(const struct facts *facts)
{
	const struct vmc_module_status *module = &facts->module;

	if (!module->loaded) {
		puts("state      not attached: the module is not loaded, use 'vmcircuit up'");
		return;
	}
	switch (module->state) {
	case VMC_MODULE_ABSENT:
		puts("state      not attached: this virtual machine has no circuit device");
		break;
	case VMC_MODULE_WAITING:
		puts("state      waiting for a switch");
		break;
	case VMC_MODULE_ATTACHED:
		printf("state      attached as %s\n", module->name);
		break;
	case VMC_MODULE_LOST:
		puts("state      the switch is gone; new connections are TCP until it returns");
		break;
	}
}

static void print_redirect(const struct facts *facts)
{
	if (facts->redirect_error) {
		printf("redirect   unknown: %s\n",
		       strerror(-facts->redirect_error));
		return;
	}
	if (!facts->redirect_on)
		puts("redirect   off");
	else if (facts->redirect.limited)
		printf("redirect   cgroup %s\n", facts->redirect.cgroup);
	else
		puts("redirect   whole guest");
	if (facts->redirect_on && !facts->module.loaded)
		puts("           but the module is not loaded: new TCP and UDP sockets fail, use 'vmcircuit up' or 'vmcircuit down'");
}

static void print_counters(const struct facts *facts)
{
	uint64_t fallbacks = 0;

	for (int i = 0; i < facts->nr_counters; i++) {
		if (!strncmp(facts->counters[i].name, FALLBACK,
			     strlen(FALLBACK)))
			fallbacks += facts->counters[i].value;
		else
			printf("%-24s %" PRIu64 "\n", facts->counters[i].name,
			       facts->counters[i].value);
	}
	if (!facts->nr_counters)
		return;
	printf("%-24s %" PRIu64 "\n", "fallbacks to TCP", fallbacks);
	for (int i = 0; i < facts->nr_counters; i++) {
		const char *name = facts->counters[i].name;

		if (!strncmp(name, FALLBACK, strlen(FALLBACK)))
			printf("  %-22s %" PRIu64 "\n",
			       name + strlen(FALLBACK),
			       facts->counters[i].value);
	}
}

static void print_uplink(const struct vmc_module_status *module)
{
	if (!module->name[0])
		return;
	puts(module->has_uplink ? "uplink     yes" : "uplink     none");
	if (!module->nr_resolvers)
		return;
	printf("resolvers  ");
	for (unsigned int i = 0; i < module->nr_resolvers; i++) {
		if (i)
			printf(", ");
		print_bare_address(&module->resolvers[i]);
	}
	puts(vmc_resolver_is_used() ? "" :
	     ", in " VMC_RESOLVER_FILE "; /etc/resolv.conf is the guest's own");
}

static void print_table(const struct facts *facts)
{
	print_state(facts);
	if (facts->module.nr_addresses) {
		printf("addresses  ");
		for (unsigned int i = 0; i < facts->module.nr_addresses; i++) {
			if (i)
				printf(", ");
			print_address(&facts->module.addresses[i]);
		}
		putchar('\n');
	}
	print_uplink(&facts->module);
	print_redirect(facts);
	print_counters(facts);
}

/**
 * vmc_command_status - "vmcircuit status"
 * @self: this command
 * @argc: of @argv
 * @argv: its name and arguments
 *
 * Return: exit code; 0 also when nothing is attached.
 */
int vmc_command_status(const struct vmc_command *self, int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	static struct facts facts;
	bool json = false;
	int option, error;

	while ((option = getopt_long(argc, argv, ":h", long_options,
				     NULL)) != -1) {
		if (option != 'j')
			return vmc_command_option(self, option, argv);
		json = true;
	}
	if (optind < argc)
		return vmc_report_usage("status",
					"'status' takes no argument '%s'",
					argv[optind]);
	error = vmc_module_read_status(&facts.module);
	if (error == -ENONET)
		return vmc_report_failure(
			"this is not the guest's first network namespace, the only one that has circuits: run 'vmcircuit status' outside");
	if (error)
		return vmc_report_failure("cannot read the module's status: %s",
					  strerror(-error));
	facts.nr_counters = vmc_module_read_counters(facts.counters);
	if (facts.nr_counters < 0)
		return vmc_report_failure("cannot read the module's counters: %s",
					  strerror(-facts.nr_counters));
	facts.redirect_error = vmc_redirect_read(&facts.redirect_on,
						 &facts.redirect);
	if (json)
		print_json(&facts);
	else
		print_table(&facts);
	return 0;
}
