/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_CTL_COMMAND_H
#define VMC_CTL_COMMAND_H

#include <json-c/json.h>
#include <stdbool.h>

#define EXIT_UNREACHABLE	1
#define EXIT_DENIED		1	/* policy test */
#define EXIT_REFUSED		1	/* policy reload */
#define EXIT_USAGE		2
#define EXIT_NO_VERDICT		3	/* policy test: it is unreachable */

/* What the command line says, for every command. */
struct vmc_ctl {
	const char *socket;
	bool is_json;
	const char *vm;		/* NULL: none was given */
	int nr_words;		/* of the command, after its name */
	char **words;
	int unreachable;	/* the exit status when the switch is */
};

/* Each returns the exit status; what went wrong is printed. */
int vmc_command_list(const struct vmc_ctl *ctl);
int vmc_command_show(const struct vmc_ctl *ctl);
int vmc_command_stats(const struct vmc_ctl *ctl);
int vmc_command_watch(const struct vmc_ctl *ctl);
int vmc_command_policy(const struct vmc_ctl *ctl);

/* Say what is wrong with the command line. Return: EXIT_USAGE. */
int vmc_command_wrong(const char *what, const char *value);

#endif /* VMC_CTL_COMMAND_H */
