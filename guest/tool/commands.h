/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands. Each gets argv with its own name in argv[0] and returns the
 * exit code; each lives in the file of its name.
 */
#ifndef VMC_TOOL_COMMANDS_H
#define VMC_TOOL_COMMANDS_H

struct vmc_command {
	const char *name;
	const char *summary;	/* one line for the tool's help */
	const char *help;	/* all of the command's help */
	int (*run)(const struct vmc_command *self, int argc, char **argv);
};

int vmc_command_up(const struct vmc_command *self, int argc, char **argv);
int vmc_command_down(const struct vmc_command *self, int argc, char **argv);
int vmc_command_status(const struct vmc_command *self, int argc, char **argv);
int vmc_command_run(const struct vmc_command *self, int argc, char **argv);

int vmc_command_option(const struct vmc_command *self, int option,
		       char **argv);

#endif /* VMC_TOOL_COMMANDS_H */
