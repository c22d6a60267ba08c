// SPDX-License-Identifier: GPL-2.0-or-later
/* Who may talk to whom. */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "switch/config.h"
#include "switch/policy.h"
#include "switch/value.h"

#define VMS \
	"vm \"a\" { socket = \"/a\" addresses = { \"10.7.0.1/24\" } }\n" \
	"vm \"b\" { socket = \"/b\" addresses = { \"10.7.0.2/24\" } }\n" \
	"vm \"c\" { socket = \"/c\" addresses = { \"10.7.0.3/24\" } }\n"
/* A rule on a line of its own. */
#define RULE(name, action, direction, rest) \
	"rule \"" name "\" { action = \"" action "\" direction = \"" \
	direction "\" " rest " }\n"

static const struct vmc_config_vm vms[] = {
	{ .name = "a", .network = "default" },
	{ .name = "b", .network = "default" },
	{ .name = "c", .network = "else" },
	{ .name = "d", .network = "cells" },
	{ .name = "e", .network = "cells" },
};

static struct vmc_config_network networks[] = {
	{ .name = "else" },
	{ .name = "cells", .is_isolated = true },
};

static const struct vmc_config config = {
	.nr_networks = 2,
	.networks = networks,
};

static void one_network_is_open(void **state)
{
	(void)state;
	assert_true(vmc_policy_allows(&config, &vms[0], &vms[1]));
	assert_true(vmc_policy_allows(&config, &vms[1], &vms[0]));
}

static void networks_are_apart(void **state)
{
	(void)state;
	assert_false(vmc_policy_allows(&config, &vms[0], &vms[2]));
	assert_false(vmc_policy_allows(&config, &vms[2], &vms[0]));
}

static void an_isolated_network_is_silent(void **state)
{
	(void)state;
	assert_false(vmc_policy_allows(&config, &vms[3], &vms[4]));
}

static void everybody_reaches_himself(void **state)
{
	(void)state;
	assert_true(vmc_policy_allows(&config, &vms[3], &vms[3]));
	assert_true(vmc_policy_allows(&config, &vms[0], &vms[0]));
}

/* The configuration of VMS and the rules in @text. */
static struct vmc_config *with_rules(const char *text)
{
	char path[] = "/tmp/vmcircuit-policy-XXXXXX";
	char complaint[VMC_COMPLAINT_BYTES];
	struct vmc_config *read = NULL;
	int fd = mkstemp(path);

	assert_int_equal(dprintf(fd, "%s%s", VMS, text),
			 strlen(VMS) + strlen(text));
	close(fd);
	if (vmc_config_read(path, VMC_CONFIG_START, &read, complaint))
		fail_msg("%s", complaint);
	unlink(path);
	return read;
}

static struct vmc_policy_query out(const struct vmc_config *in_force,
				   const char *remote)
{
	struct vmc_policy_query query = { .vm = &in_force->vms[0] };

	assert_int_equal(vmc_value_name(remote, &query.remote), 0);
	return query;
}

static bool may_dial(const struct vmc_config *in_force, const char *remote)
{
	struct vmc_policy_query query = out(in_force, remote);

	return vmc_policy_look(in_force->policy, &query).is_allowed;
}

static bool may_enter(const struct vmc_config *in_force, const char *remote,
		      uint16_t port, bool is_published)
{
	struct vmc_policy_query query = {
		.vm = &in_force->vms[0],
		.direction = VMC_INBOUND,
		.vm_port = port,
		.is_published = is_published,
	};

	assert_int_equal(vmc_value_address(remote, &query.remote), 0);
	return vmc_policy_look(in_force->policy, &query).is_allowed;
}

static void expect_reason(const struct vmc_config *in_force,
			  const char *remote, const char *words)
{
	struct vmc_policy_query query = out(in_force, remote);
	const char *reason = vmc_policy_look(in_force->policy, &query).reason;

	if (!strstr(reason, words))
		fail_msg("\"%s\" lacks \"%s\"", reason, words);
}

static bool may_ping(const struct vmc_config *in_force, const char *remote)
{
	struct vmc_policy_query query = {
		.vm = &in_force->vms[0],
		.protocol = VMC_PROTOCOL_ICMP,
	};

	assert_int_equal(vmc_value_address(remote, &query.remote), 0);
	/* An echo's identifier stands where others have a port. */
	query.remote.port = htole16(80);
	return vmc_policy_look(in_force->policy, &query).is_allowed;
}

static void echoes_have_no_ports(void **state)
{
	struct vmc_config *read = with_rules(
		RULE("ports", "deny", "out", "ports = { \"1-65535\" }")
		RULE("tcp", "deny", "out", "protocol = \"tcp\"")
		RULE("icmp", "deny", "out",
		     "protocol = \"icmp\" remote = { \"192.0.2.0/25\" }")
		RULE("any", "deny", "out", "remote = { \"192.0.2.192/26\" }")
		RULE("loopback", "allow", "out",
		     "protocol = \"icmp\" remote = { \"127.0.0.0/8\" }"));

	(void)state;
	assert_false(may_ping(read, "192.0.2.1"));
	assert_true(may_ping(read, "192.0.2.129"));
	assert_false(may_ping(read, "192.0.2.193"));
	assert_true(may_ping(read, "127.0.0.1"));
	assert_false(may_dial(read, "192.0.2.129:80"));
	assert_false(may_dial(read, "127.0.0.1:80"));
	vmc_config_free(read);
	read = with_rules("");
	assert_true(may_ping(read, "192.0.2.1"));
	assert_false(may_ping(read, "127.0.0.1"));
	vmc_config_free(read);
}

static void without_rules_the_defaults_decide(void **state)
{
	struct vmc_config *read = with_rules("");

	(void)state;
	expect_reason(read, "192.0.2.1:80", "default: outbound is allowed");
	expect_reason(read, "127.0.0.1:80", "default: the host's loopback");
	expect_reason(read, "169.254.169.254:80", "default: link-local addr");
	expect_reason(read, "224.0.0.1:80", "default: multicast addresses");
	assert_false(may_enter(read, "192.0.2.1", 80, false));
	assert_true(may_enter(read, "192.0.2.1", 80, true));
	vmc_config_free(read);
}

static void protected_blocks_end_where_they_should(void **state)
{
	static const char * const denied[] = {
		"127.0.0.0:80", "127.255.255.255:80", "0.0.0.0:80",
		"0.255.255.255:80", "[::1]:80", "[::]:80", "169.254.0.0:80",
		"169.254.255.255:80", "[fe80::]:80",
		"[febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:80",
		"224.0.0.0:80", "239.255.255.255:80", "255.255.255.255:80",
		"[ff00::]:80", "[ffff::]:80",
		"[::ffff:127.0.0.1]:80", "[::ffff:169.254.169.254]:80",
		"[::ffff:0.0.0.0]:80",
	};
	static const char * const allowed[] = {
		"126.255.255.255:80", "128.0.0.0:80", "1.0.0.0:80",
		"[::2]:80", "169.253.255.255:80", "169.255.0.0:80",
		"[fe7f:ffff::]:80", "[fec0::]:80", "223.255.255.255:80",
		"[fdff::]:80", "[::ffff:192.0.2.1]:80",
	};
	struct vmc_config *read = with_rules("");
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
		if (may_dial(read, denied[i]))
			fail_msg("%s is allowed", denied[i]);
	}
	for (i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		if (!may_dial(read, allowed[i]))
			fail_msg("%s is denied", allowed[i]);
	}
	vmc_config_free(read);
}

/* Names as a caller may have them that did not call vmc_name_check(). */
static void a_mapped_address_is_ipv4(void **state)
{
	struct vmc_config *read = with_rules(
		RULE("r", "deny", "out", "remote = { \"192.0.2.0/24\" }"));
	struct vmc_policy_query query = out(read, "[2001:db8::1]:80");

	(void)state;
	memset(query.remote.address, 0, 10);
	memcpy(query.remote.address + 10, "\xff\xff\x7f\0\0\x01", 6);
	assert_false(vmc_policy_look(read->policy, &query).is_allowed);
	memcpy(query.remote.address + 12, "\xc0\0\x02\x01", 4);
	assert_false(vmc_policy_look(read->policy, &query).is_allowed);
	memcpy(query.remote.address + 12, "\xc0\0\x03\x01", 4);
	assert_true(vmc_policy_look(read->policy, &query).is_allowed);
	vmc_config_free(read);
}

static void a_wide_rule_names_no_protected_block(void **state)
{
	static const char * const wide[] = {
		RULE("r", "allow", "out", ""),
		RULE("r", "allow", "out", "remote = { \"*\" }"),
		RULE("r", "allow", "out",
		     "remote = { \"0.0.0.0/0\", \"::/0\" }"),
		RULE("r", "allow", "out",
		     "remote = { \"126.0.0.0/7\", \"fe00::/9\", \"169.254.0.0/15\", \"::/127\" }"),
		/* Within another block. */
		RULE("r", "allow", "out",
		     "remote = { \"127.0.0.0/8\", \"128.0.0.0/1\" }"),
	};
	struct vmc_config *read;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
		read = with_rules(wide[i]);
		assert_false(may_dial(read, "169.254.169.254:80"));
		assert_false(may_dial(read, "[::1]:80"));
		assert_false(may_dial(read, "[fe80::1]:80"));
		assert_int_equal(may_dial(read, "127.0.0.1:80"), i == 4);
		assert_true(may_dial(read, "192.0.2.1:80"));
		vmc_config_free(read);
	}
}

static void a_rule_within_a_block_opens_it(void **state)
{
	struct vmc_config *read = with_rules(
		RULE("r", "allow", "out",
		     "remote = { \"127.0.0.0/8\", \"::1\", \"169.254.169.254/32\", \"fe80::/10\" }"));

	(void)state;
	assert_true(may_dial(read, "127.0.0.1:80"));
	assert_true(may_dial(read, "127.1.2.3:80"));
	assert_true(may_dial(read, "[::1]:80"));
	assert_true(may_dial(read, "169.254.169.254:80"));
	assert_false(may_dial(read, "169.254.169.253:80"));
	assert_true(may_dial(read, "[fe80::1]:80"));
	assert_false(may_dial(read, "0.0.0.0:80"));
	expect_reason(read, "127.0.0.1:80", "rule \"r\"");
	vmc_config_free(read);
}

static void a_wide_rule_denies_a_block_before_one_that_names_it(void **state)
{
	struct vmc_config *read = with_rules(
		RULE("first", "deny", "out", "ports = { \"22\" }")
		RULE("second", "allow", "out", "remote = { \"127.0.0.1\" }"));

	(void)state;
	assert_false(may_dial(read, "127.0.0.1:22"));
	expect_reason(read, "127.0.0.1:22", "rule \"first\"");
	assert_true(may_dial(read, "127.0.0.1:23"));
	vmc_config_free(read);
}

static void the_first_rule_that_fits_decides(void **state)
{
	struct vmc_config *read = with_rules(
		RULE("one", "allow", "out", "remote = { \"192.0.2.1\" }")
		RULE("other vm", "deny", "out", "vm = { \"b\", \"c\" }")
		RULE("inbound", "deny", "in", "")
		RULE("net", "deny", "out", "remote = { \"192.0.2.0/24\" }")
		RULE("late", "allow", "out", "remote = { \"192.0.2.2\" }"));

	(void)state;
	expect_reason(read, "192.0.2.1:80", "rule \"one\"");
	expect_reason(read, "192.0.2.2:80", "rule \"net\"");
	assert_false(may_dial(read, "192.0.2.2:80"));
	expect_reason(read, "192.0.3.1:80", "default: outbound");
	vmc_config_free(read);
}

static void networks_end_at_their_last_bit(void **state)
{
	struct vmc_config *read = with_rules(
		RULE("1", "deny", "out", "remote = { \"192.0.2.4/30\" }")
		RULE("2", "deny", "out", "remote = { \"198.51.100.7/32\" }")
		RULE("3", "deny", "out", "remote = { \"2001:db8::/33\" }")
		RULE("4", "deny", "out", "remote = { \"2001:db9::1/128\" }"));
	struct vmc_config *all4 = with_rules(
		RULE("1", "deny", "out", "remote = { \"0.0.0.0/0\" }"));
	struct vmc_config *all6 = with_rules(
		RULE("1", "deny", "out", "remote = { \"::/0\" }"));

	(void)state;
	assert_true(may_dial(read, "192.0.2.3:80"));
	assert_false(may_dial(read, "192.0.2.4:80"));
	assert_false(may_dial(read, "192.0.2.7:80"));
	assert_true(may_dial(read, "192.0.2.8:80"));
	assert_true(may_dial(read, "198.51.100.6:80"));
	assert_false(may_dial(read, "198.51.100.7:80"));
	assert_true(may_dial(read, "198.51.100.8:80"));
	assert_false(may_dial(read, "[2001:db8:7fff:ffff::]:80"));
	assert_true(may_dial(read, "[2001:db8:8000::]:80"));
	assert_false(may_dial(read, "[2001:db9::1]:80"));
	assert_true(may_dial(read, "[2001:db9::]:80"));
	assert_true(may_dial(read, "[2001:db9::2]:80"));
	assert_false(may_dial(all4, "255.255.255.254:80"));
	assert_true(may_dial(all4, "[2001:db8::1]:80"));
	assert_false(may_dial(all6, "[2001:db8::1]:80"));
	assert_true(may_dial(all6, "192.0.2.1:80"));
	vmc_config_free(read);
	vmc_config_free(all4);
	vmc_config_free(all6);
}

static void ports_end_where_they_should(void **state)
{
	struct vmc_config *read = with_rules(
		RULE("1", "deny", "out", "ports = { \"1\", \"65535\", \"80-90\" }"));
	struct vmc_config *all = with_rules(
		RULE("1", "deny", "out", "ports = { \"1-65535\" }"));

	(void)state;
	assert_false(may_dial(read, "192.0.2.1:1"));
	assert_true(may_dial(read, "192.0.2.1:2"));
	assert_true(may_dial(read, "192.0.2.1:79"));
	assert_false(may_dial(read, "192.0.2.1:80"));
	assert_false(may_dial(read, "192.0.2.1:90"));
	assert_true(may_dial(read, "192.0.2.1:91"));
	assert_true(may_dial(read, "192.0.2.1:65534"));
	assert_false(may_dial(read, "192.0.2.1:65535"));
	assert_false(may_dial(all, "192.0.2.1:1"));
	assert_false(may_dial(all, "192.0.2.1:65535"));
	vmc_config_free(read);
	vmc_config_free(all);
}

static void protocol_and_vm_select(void **state)
{
	struct vmc_config *read = with_rules(
		RULE("udp", "deny", "out", "protocol = \"udp\"")
		RULE("b", "deny", "out", "vm = { \"c\", \"b\" } protocol = \"tcp\""));
	struct vmc_policy_query query = out(read, "192.0.2.1:80");

	(void)state;
	assert_true(vmc_policy_look(read->policy, &query).is_allowed);
	query.protocol = VMC_PROTOCOL_UDP;
	assert_false(vmc_policy_look(read->policy, &query).is_allowed);
	query.protocol = VMC_PROTOCOL_TCP;
	query.vm = &read->vms[1];
	assert_false(vmc_policy_look(read->policy, &query).is_allowed);
	query.vm = &read->vms[2];
	assert_false(vmc_policy_look(read->policy, &query).is_allowed);
	vmc_config_free(read);
}

static void inbound_rules_look_at_the_vms_port(void **state)
{
	struct vmc_config *read = with_rules(
		RULE("bad", "deny", "in", "remote = { \"198.51.100.0/24\" }")
		RULE("web", "allow", "in", "ports = { \"80\" }"));

	(void)state;
	assert_true(may_enter(read, "192.0.2.1", 80, false));
	assert_false(may_enter(read, "192.0.2.1", 81, false));
	assert_true(may_enter(read, "192.0.2.1", 81, true));
	assert_false(may_enter(read, "198.51.100.1", 80, false));
	assert_false(may_enter(read, "198.51.100.1", 81, true));
	/* Nothing is protected from the host itself. */
	assert_true(may_enter(read, "127.0.0.1", 80, false));
	vmc_config_free(read);
}

static bool may_be_open(const char *rules, uint16_t port)
{
	struct vmc_config *read = with_rules(rules);
	bool result = vmc_policy_may_be_open(read->policy, &read->vms[0],
					     VMC_PROTOCOL_TCP, port);

	vmc_config_free(read);
	return result;
}

static void a_port_may_be_open_if_anybody_could_enter(void **state)
{
	(void)state;
	assert_false(may_be_open("", 80));
	assert_false(may_be_open(RULE("1", "allow", "out", ""), 80));
	assert_true(may_be_open(RULE("1", "allow", "in", ""), 80));
	assert_false(may_be_open(
		RULE("1", "allow", "in", "vm = { \"b\" }"), 80));
	assert_false(may_be_open(
		RULE("1", "allow", "in", "protocol = \"udp\""), 80));
	assert_true(may_be_open(
		RULE("1", "allow", "in", "ports = { \"80\" } protocol = \"tcp\" remote = { \"192.0.2.1\" }"),
		80));
	assert_false(may_be_open(
		RULE("1", "allow", "in", "ports = { \"80\" }"), 81));
	/* Denied to some, or to all before it is allowed. */
	assert_true(may_be_open(
		RULE("1", "deny", "in", "remote = { \"10.0.0.0/8\" }")
		RULE("2", "allow", "in", ""), 80));
	assert_false(may_be_open(
		RULE("1", "deny", "in", "") RULE("2", "allow", "in", ""), 80));
	assert_true(may_be_open(
		RULE("1", "deny", "in", "ports = { \"81\" }")
		RULE("2", "allow", "in", ""), 80));
}

static void the_ports_that_rules_name_are_told(void **state)
{
	struct vmc_config *read = with_rules(
		RULE("1", "deny", "in", "ports = { \"54\" }")
		RULE("2", "allow", "in",
		     "protocol = \"udp\" ports = { \"53-55\", \"65535\" }")
		RULE("3", "allow", "in", "protocol = \"tcp\" ports = { \"80\" }")
		RULE("4", "allow", "in", "vm = { \"b\" } ports = { \"81\" }")
		RULE("5", "allow", "out", "ports = { \"82\" }")
		RULE("6", "allow", "in", ""));
	uint16_t ports[4];

	(void)state;
	assert_int_equal(vmc_policy_named_ports(read->policy, &read->vms[0],
						VMC_PROTOCOL_UDP, ports, 4),
			 3);
	assert_int_equal(ports[0], 53);
	assert_int_equal(ports[1], 55);
	assert_int_equal(ports[2], 65535);
	assert_int_equal(vmc_policy_named_ports(read->policy, &read->vms[0],
						VMC_PROTOCOL_UDP, ports, 2),
			 2);
	vmc_config_free(read);
}

static void the_rule_that_allows_says_how(void **state)
{
	struct vmc_config *read = with_rules(
		"proxy \"p\" { address = \"192.0.2.9:1080\" }\n"
		RULE("1", "allow", "out", "remote = { \"192.0.2.1\" } congestion = \"reno\" proxy = \"p\"")
		RULE("2", "deny", "out", "remote = { \"192.0.2.2\" }"));
	static const struct vmc_carriage none;
	struct vmc_policy_query query = out(read, "192.0.2.1:80");
	const struct vmc_carriage *carriage =
		vmc_policy_look(read->policy, &query).carriage;

	(void)state;
	assert_true(carriage->has_proxy);
	assert_false(carriage->proxy.has_password);
	assert_string_equal(carriage->congestion, "reno");
	query = out(read, "192.0.2.2:80");
	assert_memory_equal(vmc_policy_look(read->policy, &query).carriage,
			    &none, sizeof(none));
	query = out(read, "192.0.2.3:80");
	assert_memory_equal(vmc_policy_look(read->policy, &query).carriage,
			    &none, sizeof(none));
	vmc_config_free(read);
}

static void decisions_are_counted(void **state)
{
	struct vmc_config *read = with_rules(
		RULE("1", "deny", "out", "remote = { \"192.0.2.1\" }"));
	struct vmc_policy_query query = out(read, "192.0.2.1:80");

	(void)state;
	vmc_policy_decide(read->policy, &query);
	vmc_policy_decide(read->policy, &query);
	vmc_policy_look(read->policy, &query);
	assert_int_equal(read->policy->nr_decided[0], 2);
	query = out(read, "127.0.0.1:80");
	vmc_policy_decide(read->policy, &query);
	assert_int_equal(read->policy->nr_decided[1 + VMC_DEFAULT_LOOPBACK],
			 1);
	assert_int_equal(read->policy->nr_decided[1 + VMC_DEFAULT_OUTBOUND],
			 0);
	vmc_config_free(read);
}

static void a_policy_is_replaced_in_place(void **state)
{
	struct vmc_config *read = with_rules("");
	struct vmc_config *other = with_rules(RULE("1", "deny", "out", ""));
	const struct vmc_policy *policy = read->policy;

	(void)state;
	assert_true(may_dial(read, "192.0.2.1:80"));
	vmc_policy_replace(read->policy, other->policy);
	vmc_config_free(other);
	assert_ptr_equal(read->policy, policy);
	assert_false(may_dial(read, "192.0.2.1:80"));
	vmc_config_free(read);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_network_is_open),
		cmocka_unit_test(networks_are_apart),
		cmocka_unit_test(an_isolated_network_is_silent),
		cmocka_unit_test(everybody_reaches_himself),
		cmocka_unit_test(echoes_have_no_ports),
		cmocka_unit_test(without_rules_the_defaults_decide),
		cmocka_unit_test(protected_blocks_end_where_they_should),
		cmocka_unit_test(a_mapped_address_is_ipv4),
		cmocka_unit_test(a_wide_rule_names_no_protected_block),
		cmocka_unit_test(a_rule_within_a_block_opens_it),
		cmocka_unit_test(
			a_wide_rule_denies_a_block_before_one_that_names_it),
		cmocka_unit_test(the_first_rule_that_fits_decides),
		cmocka_unit_test(networks_end_at_their_last_bit),
		cmocka_unit_test(ports_end_where_they_should),
		cmocka_unit_test(protocol_and_vm_select),
		cmocka_unit_test(inbound_rules_look_at_the_vms_port),
		cmocka_unit_test(a_port_may_be_open_if_anybody_could_enter),
		cmocka_unit_test(the_ports_that_rules_name_are_told),
		cmocka_unit_test(the_rule_that_allows_says_how),
		cmocka_unit_test(decisions_are_counted),
		cmocka_unit_test(a_policy_is_replaced_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
