// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A configuration file to be read by a test. Owns the file and what was said of
 * it last. Called by the tests of the configuration.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/config_file.h"

char config_path[] = "/tmp/vmcircuit-config-XXXXXX";
char config_complaint[VMC_COMPLAINT_BYTES];

/**
 * config_file_make - cmocka's setup of a group
 */
int config_file_make(void **state)
{
	(void)state;
	close(mkstemp(config_path));
	return 0;
}

/**
 * config_file_remove - cmocka's teardown of a group
 */
int config_file_remove(void **state)
{
	(void)state;
	return unlink(config_path);
}

/**
 * config_file_read - read @text as a file; what is wrong is in config_complaint
 */
int config_file_read(const char *text, struct vmc_config **ret_config)
{
	int file = open(config_path, O_WRONLY | O_TRUNC);

	assert_int_equal(write(file, text, strlen(text)), strlen(text));
	close(file);
	return vmc_config_read(config_path, VMC_CONFIG_START, ret_config,
			       config_complaint);
}

/**
 * config_file_expect - a mistake is told, in one sentence with its line
 */
void config_file_expect(const char *text, const char *line, const char *words)
{
	struct vmc_config *config;

	assert_int_equal(config_file_read(text, &config), -EINVAL);
	if (!strstr(config_complaint, line) ||
	    !strstr(config_complaint, words) ||
	    strncmp(config_complaint, config_path, strlen(config_path)))
		fail_msg("\"%s\" lacks \"%s\" or \"%s\"", config_complaint,
			 line, words);
	/* One sentence. */
	assert_null(strchr(config_complaint, '\n'));
}

/**
 * config_file_expect_all - each mistake of a table is told
 * @before: stands before each
 * @mistake: the table
 */
void config_file_expect_all(const char *before,
			    const struct config_mistake *mistake)
{
	for (char text[4096]; mistake->text; mistake++) {
		snprintf(text, sizeof(text), "%s%s", before, mistake->text);
		config_file_expect(text, mistake->line, mistake->words);
	}
}
