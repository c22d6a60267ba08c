/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_TESTS_CONFIG_FILE_H
#define VMC_TESTS_CONFIG_FILE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "switch/config.h"

/* Four lines. */
#define VM	"vm \"a\" {\nsocket = \"/s\"\naddresses = { \"10.0.0.1/24\" }\n}\n"

/* One mistake; a table of them ends with a text of NULL. */
struct config_mistake {
	const char *text;
	const char *line;	/* as in ":7:"; the first line is line 1 */
	const char *words;	/* of the complaint */
};

extern char config_path[];
extern char config_complaint[VMC_COMPLAINT_BYTES];

int config_file_make(void **state);
int config_file_remove(void **state);
int config_file_read(const char *text, struct vmc_config **ret_config);
void config_file_expect(const char *text, const char *line, const char *words);
void config_file_expect_all(const char *before,
			    const struct config_mistake *mistake);

#endif /* VMC_TESTS_CONFIG_FILE_H */
