// SPDX-License-Identifier: GPL-2.0-or-later
/* The configuration: what is read, and that each mistake names its line. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "switch/config.h"

#define VM	"vm \"a\" {\nsocket = \"/s\"\naddresses = { \"10.0.0.1/24\" }\n}\n"

static char path[] = "/tmp/vmcircuit-config-XXXXXX";
static char complaint[1024];

/* Read @text as a file; what is printed meanwhile goes to complaint. */
static int read_config(const char *text, struct vmc_config **ret_config)
{
	int old = dup(2), file = open(path, O_WRONLY | O_TRUNC);
	int caught = memfd_create("stderr", 0);
	ssize_t bytes;
	int error;

	assert_int_equal(write(file, text, strlen(text)), strlen(text));
	close(file);
	fflush(stderr);
	dup2(caught, 2);
	error = vmc_config_read(path, ret_config);
	fflush(stderr);
	dup2(old, 2);
	close(old);
	bytes = pread(caught, complaint, sizeof(complaint) - 1, 0);
	complaint[bytes > 0 ? bytes : 0] = '\0';
	close(caught);
	return error;
}

static void expect_complaint(const char *text, const char *line,
			     const char *words)
{
	struct vmc_config *config;

	assert_int_equal(read_config(text, &config), -EINVAL);
	if (!strstr(complaint, line) || !strstr(complaint, words) ||
	    strncmp(complaint, path, strlen(path)))
		fail_msg("\"%s\" lacks \"%s\" or \"%s\"", complaint, line,
			 words);
	/* One sentence. */
	assert_ptr_equal(strchr(complaint, '\n'),
			 complaint + strlen(complaint) - 1);
}

static void a_whole_file_is_read(void **state)
{
	struct vmc_config *config;

	(void)state;
	assert_int_equal(read_config(
		"# comment\n"
		"control = \"/run/c\"\nlog_level = \"debug\"\n"
		"user = \"nobody\"\nsandbox = false\nsocket_mode = \"0600\"\n"
		"network \"n\" { isolated = true }\n"
		"vm \"a\" { socket = \"/a\" network = \"n\" "
		"addresses = { \"10.0.0.1/24\", \"fd77::1/64\" } }\n"
		"vm \"b\" { socket = \"/b\" addresses = { \"10.0.0.2/8\" } }\n",
		&config), 0);
	assert_string_equal(complaint, "");
	assert_string_equal(config->control, "/run/c");
	assert_string_equal(config->user, "nobody");
	assert_false(config->is_sandboxed);
	assert_int_equal(config->socket_mode, 0600);
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
	assert_int_equal(read_config("", &config), 0);
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
		expect_complaint(mistakes[i].text, mistakes[i].line,
				 mistakes[i].words);
}

static void a_long_socket_path_is_refused(void **state)
{
	char text[256], long_path[120];

	(void)state;
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	snprintf(text, sizeof(text), "vm \"a\" {\nsocket = \"/%s\"\n}\n",
		 long_path);
	expect_complaint(text, ":2:", "longer than a socket's");
}

static void a_missing_file_is_named(void **state)
{
	struct vmc_config *config;

	(void)state;
	assert_int_equal(vmc_config_read("/nonexistent/file", &config),
			 -ENOENT);
}

static int make_file(void **state)
{
	(void)state;
	close(mkstemp(path));
	return 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_file_is_read),
		cmocka_unit_test(an_empty_file_is_valid),
		cmocka_unit_test(mistakes_name_their_line),
		cmocka_unit_test(a_long_socket_path_is_refused),
		cmocka_unit_test(a_missing_file_is_named),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
