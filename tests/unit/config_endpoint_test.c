// SPDX-License-Identifier: GPL-2.0-or-later
/* The endpoints of the configuration, and that each mistake names its line. */
#include "tests/unit/config_file.h"

#define EP	"socket = \"/e\"\naddresses = { \"10.0.0.9/24\" }\n"

static void mistakes_of_endpoints_are_told(void **state)
{
	static const struct config_mistake mistakes[] = {
		{ "endpoint {\n}\n", ":5:", "endpoint" },
		{ "endpoint \"e\" {\naddresses = { \"10.0.0.9/24\" }\n}",
		  ":7:", "endpoint \"e\": the key socket is missing" },
		{ "endpoint \"e\" {\nsocket = \"/e\"\n}", ":7:",
		  "endpoint \"e\": the key addresses is missing" },
		{ "endpoint \"a\" {\n" EP "}", ":8:",
		  "endpoint: the name \"a\" is used in a section \"vm\" already" },
		{ "endpoint \"e\" {\nsocket = \"/s\"\naddresses = { \"10.0.0.9/24\" }\n}",
		  ":8:", "socket: \"/s\" is used by vm \"a\"" },
		{ "endpoint \"e\" {\nsocket = \"/e\"\naddresses = { \"10.0.0.1/8\" }\n}",
		  ":8:", "addresses: \"10.0.0.1/8\" belongs to vm \"a\"" },
		{ "endpoint \"e\" {\n" EP "}\nendpoint \"f\" {\n" EP "}",
		  ":12:", "socket: \"/e\" is used by endpoint \"e\"" },
		{ "endpoint \"e\" {\n" EP "}\nvm \"e\" {\n" EP "}", ":12:",
		  "vm: the name \"e\" is used in a section \"endpoint\" already" },
		{ "endpoint \"e\" {\nmax_processes = 0\n}", ":6:",
		  "max_processes: 0 is not between 1 and 256" },
		{ "endpoint \"e\" {\nmax_processes = 257\n}", ":6:",
		  "max_processes: 257 is not between 1 and 256" },
		{ "endpoint \"e\" {\nmax_circuits = -1\n}", ":6:",
		  "max_circuits: -1" },
		{ "endpoint \"e\" {\nnetwork = \"a b\"\n}", ":6:",
		  "network: the name \"a b\"" },
		{ "endpoint \"e\" {\nsource = \"nat\"\n}", ":6:", "source" },
		{ "endpoint \"e e\" {\n" EP "}", ":8:",
		  "endpoint: the name \"e e\"" },
		/* Looked for when the section has been read: at its end. */
		{ "endpoint \"e\" {\n" EP "users = { \"root\",\n\"nobody-at-all\" }\n}\n\n",
		  ":10:", "users: there is no user \"nobody-at-all\"" },
		{ "endpoint \"e\" {\n" EP "groups = { \"no-group\" }\n}\n\n",
		  ":9:", "groups: there is no group \"no-group\"" },
		{ "endpoint \"e\" {\n" EP "users = { \"-1\" }\n}", ":9:",
		  "users: there is no user \"-1\"" },
		{ "endpoint \"e\" {\n" EP "users = { \"4294967295\" }\n}",
		  ":9:", "users: there is no user \"4294967295\"" },
		{ NULL, NULL, NULL },
	};

	(void)state;
	config_file_expect_all(VM, mistakes);
}

static void endpoints_are_read(void **state)
{
	struct vmc_config *config;
	struct vmc_config_vm *vm;

	(void)state;
	assert_int_equal(config_file_read(
		"max_circuits = 7\n"
		"endpoint \"e\" {\n" EP "users = { \"root\", \"54321\" }\n"
		"groups = { \"0\" } max_processes = 3 max_circuits = 9 }\n"
		VM
		"endpoint \"f\" { socket = \"/f\" "
		"addresses = { \"10.0.0.8/24\" } users = {} }\n",
		&config), 0);
	assert_int_equal(config->nr_vms, 1);
	assert_int_equal(config->nr_endpoints, 2);
	assert_false(config->vms[0].is_endpoint);
	vm = &config->vms[1];
	assert_true(vm->is_endpoint);
	assert_string_equal(vm->name, "e");
	assert_int_equal(vm->limits.circuits, 9);
	assert_int_equal(vm->access.max_processes, 3);
	assert_int_equal(vm->access.nr_users, 2);
	assert_int_equal(vm->access.users[0], 0);
	assert_int_equal(vm->access.users[1], 54321);
	assert_int_equal(vm->access.nr_groups, 1);
	vm++;
	assert_int_equal(vm->limits.circuits, 7);
	assert_int_equal(vm->access.max_processes, 16);
	assert_int_equal(vm->access.nr_users + vm->access.nr_groups, 0);
	vmc_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_of_endpoints_are_told),
		cmocka_unit_test(endpoints_are_read),
	};

	return cmocka_run_group_tests(tests, config_file_make,
				      config_file_remove);
}
