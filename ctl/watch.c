// SPDX-License-Identifier: GPL-2.0-or-later
/* vmcircuitctl watch: the list, or one VM, again each second. */
#include <stdio.h>
#include <unistd.h>

#include "ctl/command.h"

#define PERIOD_S	1

/**
 * vmc_command_watch - repeat list or show until the switch is gone
 * @ctl: the command line; with a VM it is shown, else the VMs are listed
 *
 * Return: the exit status.
 */
int vmc_command_watch(const struct vmc_ctl *ctl)
{
	int status;

	do {
		if (isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		status = ctl->vm ? vmc_command_show(ctl) :
				   vmc_command_list(ctl);
		fflush(stdout);
	} while (!status && !sleep(PERIOD_S));
	return status;
}
