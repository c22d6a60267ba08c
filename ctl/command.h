/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_CTL_COMMAND_H
#define VMC_CTL_COMMAND_H

#include <json-c/json.h>
#include <stdbool.h>

#define EXIT_UNREACHABLE	1
#define EXIT_USAGE		2

/* What the command line says, for every command. */
struct vmc_ctl {
	const char *socket;
	bool is_json;
	const char *vm;		/* NULL: none was given */
};

/* Each returns the exit status; what went wrong is printed. */
int vmc_command_list(const struct vmc_ctl *ctl);
int vmc_command_show(const struct vmc_ctl *ctl);
int vmc_command_stats(const struct vmc_ctl *ctl);
int vmc_command_watch(const struct vmc_ctl *ctl);

#endif /* VMC_CTL_COMMAND_H */
