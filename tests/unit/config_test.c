// SPDX-License-Identifier: GPL-2.0-or-later
/* The configuration: what is read, and that each mistake names its line. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/config_file.h"

static void a_whole_file_is_read(void **state)
{
	struct vmc_config *config;

	(void)state;
	assert_int_equal(config_file_read(
		"# comment\n"
		"control = \"/run/c\"\nlog_level = \"debug\"\n"
		"user = \"nobody\"\nsandbox = false\nsocket_mode = \"0600\"\n"
		"network \"n\" { isolated = true }\n"
		"vm \"a\" { socket = \"/a\" network = \"n\" "
		"addresses = { \"10.0.0.1/24\", \"fd77::1/64\" } }\n"
		"vm \"b\" { socket = \"/b\" addresses = { \"10.0.0.2/8\" } }\n",
		&config), 0);
	assert_string_equal(config_complaint, "");
	assert_string_equal(config->control, "/run/c");
	assert_string_equal(config->user, "nobody");
	assert_false(config->is_sandboxed);
	assert_int_equal(config->vm_sockets.mode, 0600);
	assert_int_equal(config->nr_networks, 1);
	assert_true(config->networks[0].is_isolated);
	assert_int_equal(config->nr_vms, 2);
	assert_string_equal(config->vms[0].name, "a");
	assert_string_equal(config->vms[0].network, "n");
	assert_int_equal(config->vms[0].nr_addresses, 2);
	assert_int_equal(config->vms[0].addresses[0].family, VMC_FAMILY_INET);
	assert_int_equal(config->vms[0].addresses[1].prefix, 64);
	assert_string_equal(config->vms[1].network, "default");
	vmc_config_free(config);
}

static void an_empty_file_is_valid(void **state)
{
	struct vmc_config *config;

	(void)state;
	assert_int_equal(config_file_read("", &config), 0);
	assert_int_equal(config->nr_vms, 0);
	assert_true(config->is_sandboxed);
	vmc_config_free(config);
}

static void mistakes_name_their_line(void **state)
{
	static const struct {
		const char *text;
		const char *line;
		const char *words;
	} mistakes[] = {
		{ "\ncolour = 1\n", ":2:", "colour" },
		{ "control = \"x\"\n", ":1:", "control: \"x\" is not an abs" },
		{ "\n\nlog_level = \"loud\"\n", ":3:", "log_level: \"loud\"" },
		{ "user = \"nobody-at-all\"\n", ":1:", "user: there is no" },
		{ "socket_mode = \"9\"\n", ":1:", "socket_mode" },
		{ "socket_mode = \"\"\n", ":1:", "socket_mode" },
		{ "socket_group = \"no-group\"\n", ":1:", "socket_group" },
		{ "vm {\n}\n", ":1:", "vm" },
		{ "vm \"a b\" { socket = \"/s\" addresses = { \"10.0.0.1/24\" } }",
		  ":1:", "vm: the name \"a b\"" },
		{ "vm \"a\" {\naddresses = { \"10.0.0.1/24\" }\n}\n", ":3:",
		  "the key socket is missing" },
		{ "vm \"a\" {\nsocket = \"/s\"\n}\n", ":3:",
		  "the key addresses is missing" },
		{ "vm \"a\" {\nsocket = \"s\"\n}\n", ":2:", "socket: \"s\"" },
		{ "vm \"a\" {\nsocket = \"/s\"\naddresses = { \"10.0.0.1\" }\n}\n",
		  ":3:", "addresses: \"10.0.0.1\"" },
		{ "vm \"a\" {\naddresses = { \"10.0.0.1/33\" }\n}\n", ":2:",
		  "10.0.0.1/33" },
		{ "vm \"a\" {\naddresses = { \"127.0.0.1/8\" }\n}\n", ":2:",
		  "127.0.0.1/8" },
		{ "vm \"a\" {\naddresses = { \"ff02::1/64\" }\n}\n", ":2:",
		  "ff02::1/64" },
		{ "vm \"a\" {\naddresses = { \"::ffff:1.2.3.4/64\" }\n}\n",
		  ":2:", "1.2.3.4" },
		{ "vm \"a\" {\naddresses = { \"10.0.0.1/24\", \"10.0.0.2/24\", \"10.0.0.3/24\", \"10.0.0.4/24\", \"10.0.0.5/24\" }\n}\n",
		  ":2:", "at most 4" },
		{ "vm \"a\" {\nport = 1\n}\n", ":2:", "port" },
		{ VM VM, ":5:", "a" },
		{ VM "vm \"b\" {\nsocket = \"/s\"\naddresses = { \"10.0.0.2/24\" }\n}\n",
		  ":8:", "socket: \"/s\" is used by vm \"a\"" },
		{ VM "vm \"b\" {\nsocket = \"/t\"\naddresses = { \"10.0.0.1/16\" }\n}\n",
		  ":8:", "addresses: \"10.0.0.1/16\" belongs to vm \"a\"" },
		{ "network \"n\" {}\nnetwork \"n\" {}\n", ":2:", "n" },
		{ "network \"n\" { isolated = perhaps }\n", ":1:", "isolated" },
		{ "vm \"a\" {\n", ":", "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
		config_file_expect(mistakes[i].text, mistakes[i].line,
				 mistakes[i].words);
}

static void mistakes_of_the_uplink_are_told(void **state)
{
	static const struct config_mistake mistakes[] = {
		{ "uplink {}\nuplink {}\n", ":6:", "uplink: there is such" },
		{ "uplink {\nresolvers = { \"192.0.2.1/24\" }\n}", ":6:",
		  "resolvers: \"192.0.2.1/24\" is not" },
		{ "uplink {\nresolvers = { \"127.0.0.53\" }\n}", ":6:",
		  "resolvers: \"127.0.0.53\" means the guest itself" },
		{ "uplink {\nresolvers = { \"1.1.1.1\", \"1.1.1.2\", \"1.1.1.3\" }\n}",
		  ":6:", "resolvers: there are at most 2" },
		{ "uplink {\nhost_addresses = { \"fd77::fe\",\n\"fd77::ff\" }\n}",
		  ":7:", "host_addresses: \"fd77::ff\" is of the same family" },
		{ "uplink {\nhost_addresses = { \"::1\" }\n}", ":6:",
		  "host_addresses: \"::1\" is not" },
		{ "uplink {\nhost_addresses = { \"224.0.0.1\" }\n}", ":6:",
		  "host_addresses: \"224.0.0.1\" is not" },
		{ "uplink {\nhost_addresses = { \"10.0.0.1\" }\n}", ":6:",
		  "host_addresses: \"10.0.0.1\" belongs to vm \"a\"" },
		{ "uplink { zero_copy_size = -1 }", ":5:",
		  "zero_copy_size: -1 is not between" },
		{ "uplink { colour = 1 }", ":5:", "colour" },
		{ "max_circuits = -1\n", ":5:", "max_circuits: -1" },
		{ "max_ring_mib = 4294967296\n", ":5:", "max_ring_mib" },
		{ "vm \"b\" {\nmax_connects_per_second = -1\n}", ":6:",
		  "max_connects_per_second: -1" },
		{ "vm \"b\" { source = \"nut\" }", ":5:",
		  "source: \"nut\" is not nat or routed" },
		{ NULL, NULL, NULL },
	};

	(void)state;
	config_file_expect_all(VM, mistakes);
}

static void mistakes_of_publish_are_told(void **state)
{
	static const struct config_mistake mistakes[] = {
		{ "publish = { \"192.0.2.1:80\" }", ":6:",
		  "publish: \"192.0.2.1:80\" is not like" },
		{ "publish = { \"192.0.2.1 -> a:80\" }", ":6:", "is not like" },
		{ "publish = { \"192.0.2.1:0 -> a:80\" }", ":6:", "is not like" },
		{ "publish = { \"192.0.2.1:80/sctp -> a:80\" }", ":6:",
		  "is not like" },
		{ "publish = { \"192.0.2.1/udp:80 -> a:80\" }", ":6:",
		  "is not like" },
		{ "publish = { \"192.0.2.1:53/udp -> a:53/udp\" }", ":6:",
		  "is not like" },
		{ "publish = { \"192.0.2.1:53/udp -> a:53\",\n\"192.0.2.1:53/udp -> a:54\" }",
		  ":7:", "the host's side is that of" },
		{ "publish = { \"192.0.2.1:80 -> a:65536\" }", ":6:",
		  "is not like" },
		{ "publish = { \"192.0.2.1:80 -> a:1-2\" }", ":6:",
		  "is not like" },
		{ "publish = { \"192.0.2.1:80 -> a\" }", ":6:", "is not like" },
		{ "publish = { \"192.0.2.1:80 -> :80\" }", ":6:",
		  "is not like" },
		{ "publish = { \"2001:db8::1:80 -> a:80\" }", ":6:",
		  "is not like" },
		{ "publish = { \"224.0.0.1:80 -> a:80\" }", ":6:",
		  "is not like" },
		{ "publish = { \"192.0.2.1:80 -> a:80\",\n\"192.0.2.1:81 -> b:80\" }",
		  ":7:", "publish: \"192.0.2.1:81 -> b:80\": there is no vm \"b\"" },
		{ "publish = { \"[2001:db8::1]:80 -> a:80\" }", ":6:",
		  "publish: \"[2001:db8::1]:80 -> a:80\": vm \"a\" has no IPv6" },
		{ "publish = { \"192.0.2.1:80 -> a:80\",\n\" 192.0.2.1:80->a:81\" }",
		  ":7:", "the host's side is that of \"192.0.2.1:80 -> a:80\"" },
		{ NULL, NULL, NULL },
	};

	(void)state;
	config_file_expect_all(VM "uplink {}\n", mistakes);
	config_file_expect(VM "publish = { \"192.0.2.1:80 -> a:80\" }", ":5:",
			 "publish: there is no uplink");
}

static void mistakes_of_proxies_are_told(void **state)
{
	static const struct config_mistake mistakes[] = {
		{ "proxy \"p\" {\n}", ":2:",
		  "proxy \"p\": the key address is missing" },
		{ "proxy \"p\" {\naddress = \"192.0.2.9\"\n}", ":2:",
		  "address: \"192.0.2.9\" is not like" },
		{ "proxy \"p\" {\naddress = \"0.0.0.0:1080\"\n}", ":2:",
		  "address: \"0.0.0.0:1080\" is not like" },
		{ "proxy \"p\" {\naddress = \"192.0.2.9:1080\"\npassword = \"hush\"\n}",
		  ":3:", "password: proxy \"p\" has a password without" },
		{ "proxy \"p\" {\naddress = \"192.0.2.9:1080\"\nuser = \"u\"\n}",
		  ":3:", "user: proxy \"p\" has a user without" },
		{ "proxy \"p\" {\npassword = \"\"\n}", ":2:",
		  "password: it has 0 bytes" },
		{ "proxy \"\" {\naddress = \"192.0.2.9:1080\"\n}", ":3:",
		  "proxy: the name \"\"" },
		{ "proxy \"p\" {\npassword = \"hush\"hush\" }", ":2:",
		  "may be part of a password" },
		{ "proxy \"p\" { address = \"192.0.2.9:1080\" }\nproxy \"p\" {}",
		  ":2:", "duplicate title 'p'" },
		{ NULL, NULL, NULL },
	};
	const struct config_mistake *mistake;
	char text[512], secret[257];

	(void)state;
	for (mistake = mistakes; mistake->text; mistake++) {
		config_file_expect(mistake->text, mistake->line, mistake->words);
		assert_null(strstr(config_complaint, "hush"));
	}
	memset(secret, 's', sizeof(secret) - 1);
	secret[sizeof(secret) - 1] = '\0';
	snprintf(text, sizeof(text), "proxy \"p\" {\nuser = \"%s\"\n}",
		 secret);
	config_file_expect(text, ":2:", "user: it has 256 bytes");
	snprintf(text, sizeof(text), "proxy \"p\" {\npassword = \"%s\"\n}",
		 secret);
	config_file_expect(text, ":2:", "password: it has 256 bytes");
	assert_null(strstr(config_complaint, "sss"));
}

#define OUT	"action = \"allow\"\ndirection = \"out\"\n"

static void mistakes_of_rules_are_told(void **state)
{
	static const struct config_mistake mistakes[] = {
		{ "rule \"r\" {\ndirection = \"out\"\n}", ":7:",
		  "rule \"r\": the key action is missing" },
		{ "rule \"r\" {\naction = \"deny\"\n}", ":7:",
		  "rule \"r\": the key direction is missing" },
		{ "rule \"r\" {\naction = \"permit\"\n}", ":6:",
		  "action: \"permit\" is not allow or deny" },
		{ "rule \"r\" {\ndirection = \"up\"\n}", ":6:",
		  "direction: \"up\" is not out or in" },
		{ "rule \"r\" {\nprotocol = \"sctp\"\n}", ":6:",
		  "protocol: \"sctp\" is not any, tcp, udp or icmp" },
		{ "rule \"r\" {\n" OUT "protocol = \"icmp\"\n"
		  "ports = { \"80\" }\n}", ":9:",
		  "ports: rule \"r\" is about icmp, which has none" },
		{ "rule \"r\" {\n" OUT "protocol = \"icmp\"\n"
		  "congestion = \"reno\"\n}", ":9:",
		  "congestion: rule \"r\" does not allow outbound TCP" },
		{ "rule \"r\" {\ntransport = \"quic\"\n}", ":6:",
		  "transport: \"quic\" is not tcp or mptcp" },
		{ "rule \"r\" {\n" OUT "vm = { \"a\",\n\"b\" }\n}", ":9:",
		  "vm: there is no vm \"b\"" },
		{ "rule \"r\" {\n" OUT "vm = { }\n}", ":9:",
		  "vm: the list of rule \"r\" is empty" },
		{ "rule \"r\" {\n" OUT "remote = { \"10.0.0.0/8\",\n\"*\" }\n}",
		  ":9:", "remote: \"*\" means all and stands alone" },
		{ "rule \"r\" {\nremote = { \"10.0.0.0/33\" }\n}", ":6:",
		  "remote: \"10.0.0.0/33\" is not a network" },
		{ "rule \"r\" {\nremote = { \"example.org\" }\n}", ":6:",
		  "remote: \"example.org\" is not a network" },
		{ "rule \"r\" {\nremote = { \"10.0.0.1/8\" }\n}", ":6:",
		  "remote: \"10.0.0.1/8\" has bits set beyond its prefix" },
		{ "rule \"r\" {\nremote = { \"2001:db8::1/64\" }\n}", ":6:",
		  "has bits set beyond its prefix" },
		{ "rule \"r\" {\nremote = { \"::ffff:10.0.0.0/104\" }\n}",
		  ":6:", "is IPv4 mapped into IPv6" },
		{ "rule \"r\" {\nports = { \"0\" }\n}", ":6:",
		  "ports: \"0\" is not a port" },
		{ "rule \"r\" {\nports = { \"1-65536\" }\n}", ":6:",
		  "ports: \"1-65536\" is not a port" },
		{ "rule \"r\" {\nports = { \"90-80\" }\n}", ":6:",
		  "ports: \"90-80\" ends before it begins" },
		{ "rule \"r\" {\n" OUT "proxy = \"q\"\n}", ":8:",
		  "proxy: there is no proxy \"q\"" },
		{ "rule \"r\" {\n" OUT "congestion = \"no-such\"\n}", ":8:",
		  "congestion: this host has no \"no-such\"" },
		{ "rule \"r\" {\naction = \"deny\"\ndirection = \"out\"\ntransport = \"tcp\"\n}",
		  ":8:", "transport: rule \"r\" does not allow outbound TCP" },
		{ "rule \"r\" {\naction = \"allow\"\ndirection = \"in\"\nproxy = \"q\"\n}",
		  ":8:", "proxy: rule \"r\" does not allow outbound TCP" },
		{ "rule \"r\" {\n" OUT "protocol = \"udp\"\ncongestion = \"reno\"\n}",
		  ":9:", "congestion: rule \"r\" does not allow outbound" },
		{ "rule \" r\" {\n" OUT "}", ":8:", "rule: the name \" r\"" },
		{ "rule \"r\" {\n" OUT "}\nrule \"r\" {}", ":9:",
		  "duplicate title 'r'" },
		{ NULL, NULL, NULL },
	};
	char text[2048] = "rule \"r\" {\n" OUT "ports = {";
	unsigned int i;

	(void)state;
	config_file_expect_all(VM, mistakes);
	for (i = 0; i <= VMC_RULE_MAX_ITEMS; i++)
		sprintf(text + strlen(text), "%s\"%u\"", i ? "," : "", i + 1);
	strcat(text, "}\n}");
	config_file_expect(text, ":5:", "ports: rule \"r\" has more than 64");
}

static void the_uplink_is_read(void **state)
{
	static const uint8_t fe[] = { 0xfd, 0x77, [15] = 0xfe };
	struct vmc_config *config;

	(void)state;
	assert_int_equal(config_file_read(
		"publish = { \"0.0.0.0:8080 -> a:80\", \"[::]:443->a:444\",\n"
		"\"0.0.0.0:8080/udp -> a:53\", \"[::]:53/tcp -> a:53\" }\n"
		"max_circuits = 7\nmax_ring_mib = 8\n"
		"vm \"a\" { socket = \"/a\" source = \"routed\" "
		"addresses = { \"10.0.0.1/24\", \"fd77::1/64\" } "
		"max_circuits = 0 max_connects_per_second = 9 }\n"
		"vm \"b\" { socket = \"/b\" addresses = { \"10.0.0.2/8\" } }\n"
		"uplink {\nresolvers = { \"192.0.2.53\" }\n"
		"host_addresses = { \"10.0.0.254\", \"fd77::fe\" }\n"
		"zero_copy_size = 32768\n}\n", &config), 0);
	assert_true(config->uplink.is_enabled);
	assert_int_equal(config->uplink.nr_resolvers, 1);
	assert_int_equal(config->uplink.resolvers[0].address[3], 53);
	assert_int_equal(config->uplink.resolvers[0].prefix, 0);
	assert_int_equal(config->uplink.nr_host_addresses, 2);
	assert_memory_equal(config->uplink.host_addresses[1].address, fe, 16);
	assert_int_equal(config->uplink.zero_copy_bytes, 32768);
	assert_int_equal(config->vms[0].source, VMC_SOURCE_ROUTED);
	assert_int_equal(config->vms[0].limits.circuits, 0);
	assert_int_equal(config->vms[0].limits.memory_bytes, 8 << 20);
	assert_int_equal(config->vms[0].limits.connects_per_second, 9);
	assert_int_equal(config->vms[1].source, VMC_SOURCE_NAT);
	assert_int_equal(config->vms[1].limits.circuits, 7);
	assert_int_equal(config->vms[1].limits.connects_per_second, 0);
	assert_int_equal(config->nr_publishes, 4);
	assert_int_equal(config->publishes[0].protocol, VMC_PROTOCOL_TCP);
	assert_int_equal(config->publishes[2].protocol, VMC_PROTOCOL_UDP);
	assert_int_equal(le16toh(config->publishes[2].host.port), 8080);
	assert_int_equal(config->publishes[3].protocol, VMC_PROTOCOL_TCP);
	assert_int_equal(le16toh(config->publishes[0].host.port), 8080);
	assert_int_equal(le16toh(config->publishes[1].guest.port), 444);
	assert_int_equal(config->publishes[1].guest.family, VMC_FAMILY_INET6);
	assert_memory_equal(config->publishes[1].guest.address,
			    config->vms[0].addresses[1].address, 16);
	vmc_config_free(config);
}

static void rules_are_read(void **state)
{
	struct vmc_config *config;
	struct vmc_rule *rule;

	(void)state;
	assert_int_equal(config_file_read(
		VM
		"rule \"all of it\" { action = \"allow\" direction = \"out\"\n"
		"vm = { \"a\" } protocol = \"tcp\" ports = { \"1-65535\" }\n"
		"remote = { \"10.0.0.0/8\", \"2001:db8::1\" }\n"
		"congestion = \"reno\" proxy = \"p\" }\n"
		"proxy \"p\" { address = \"[2001:db8::9]:1080\"\n"
		"user = \"u\" password = \"hush\" }\n"
		"rule \"none\" {\naction = \"deny\"\ndirection = \"in\"\n}\n",
		&config), 0);
	assert_int_equal(config->policy->nr_rules, 2);
	rule = &config->policy->rules[0];
	assert_string_equal(rule->name, "all of it");
	assert_int_equal(rule->line, 5);
	assert_non_null(strstr(rule->reason, "rule \"all of it\" (vmcircuit-"));
	assert_non_null(strstr(rule->reason, ":5)"));
	assert_true(rule->is_allow);
	assert_false(rule->is_any_protocol);
	assert_int_equal(rule->nr_vms, 1);
	assert_int_equal(rule->nr_remotes, 2);
	assert_int_equal(rule->remotes[0].prefix, 8);
	assert_int_equal(rule->remotes[1].prefix, 128);
	assert_int_equal(rule->ports[0].last, 65535);
	assert_string_equal(rule->carriage.congestion, "reno");
	assert_true(rule->carriage.has_proxy);
	assert_true(rule->carriage.proxy.has_password);
	assert_string_equal(rule->carriage.proxy.password, "hush");
	assert_string_equal(rule->proxy, "p");
	rule++;
	assert_int_equal(rule->line, 11);
	assert_int_equal(rule->direction, VMC_INBOUND);
	assert_false(rule->is_allow);
	assert_true(rule->is_any_protocol);
	assert_int_equal(rule->nr_vms + rule->nr_remotes + rule->nr_ports, 0);
	vmc_config_free(config);
}

static void a_reload_needs_no_name_service_but_a_file(void **state)
{
	struct vmc_config *config;

	(void)state;
	assert_int_equal(config_file_read("user = \"nobody-at-all\"\n", &config),
			 -EINVAL);
	assert_int_equal(vmc_config_read(config_path, VMC_CONFIG_RELOAD, &config,
					 config_complaint), 0);
	assert_string_equal(config->path, config_path);
	vmc_config_free(config);
	assert_int_equal(vmc_config_read("/dev/zero", VMC_CONFIG_RELOAD,
					 &config, config_complaint), -ENOENT);
	assert_non_null(strstr(config_complaint, "/dev/zero: "));
}

static void a_relative_path_becomes_absolute(void **state)
{
	struct vmc_config *config;

	(void)state;
	config_file_read("", &config);
	vmc_config_free(config);
	assert_int_equal(chdir("/tmp"), 0);
	assert_int_equal(vmc_config_read(config_path + strlen("/tmp/"),
					 VMC_CONFIG_START, &config, config_complaint),
			 0);
	assert_string_equal(config->path, config_path);
	vmc_config_free(config);
}

static void a_long_socket_path_is_refused(void **state)
{
	char text[256], long_path[120];

	(void)state;
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	snprintf(text, sizeof(text), "vm \"a\" {\nsocket = \"/%s\"\n}\n",
		 long_path);
	config_file_expect(text, ":2:", "longer than a socket's");
}

static void a_missing_file_is_named(void **state)
{
	struct vmc_config *config;

	(void)state;
	assert_int_equal(vmc_config_read("/nonexistent/file", VMC_CONFIG_START,
					 &config, config_complaint), -ENOENT);
	assert_non_null(strstr(config_complaint, "/nonexistent/file: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_file_is_read),
		cmocka_unit_test(an_empty_file_is_valid),
		cmocka_unit_test(mistakes_name_their_line),
		cmocka_unit_test(mistakes_of_the_uplink_are_told),
		cmocka_unit_test(mistakes_of_publish_are_told),
		cmocka_unit_test(mistakes_of_proxies_are_told),
		cmocka_unit_test(mistakes_of_rules_are_told),
		cmocka_unit_test(the_uplink_is_read),
		cmocka_unit_test(rules_are_read),
		cmocka_unit_test(a_reload_needs_no_name_service_but_a_file),
		cmocka_unit_test(a_relative_path_becomes_absolute),
		cmocka_unit_test(a_long_socket_path_is_refused),
		cmocka_unit_test(a_missing_file_is_named),
	};

	return cmocka_run_group_tests(tests, config_file_make, config_file_remove);
}
