/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_OPTIONS_H
#define VMC_SWITCH_OPTIONS_H

#include <stdbool.h>

struct vmc_arguments {
	const char *config;
	const char *log_level;	/* NULL: as the configuration says */
	bool is_check;		/* only check the configuration */
};

/* What vmc_options_parse() wants done. */
enum vmc_options_result {
	VMC_OPTIONS_RUN,
	VMC_OPTIONS_DONE,	/* help or version was printed */
	VMC_OPTIONS_WRONG,	/* the mistake was printed */
};

enum vmc_options_result vmc_options_parse(int argc, char **argv,
					  struct vmc_arguments *ret_options);

#endif /* VMC_SWITCH_OPTIONS_H */
