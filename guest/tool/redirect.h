/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the redirect's loader tells its BPF program, and reads back from the
 * pinned map to show what is in force.
 */
#ifndef VMC_TOOL_REDIRECT_H
#define VMC_TOOL_REDIRECT_H

#include <linux/types.h>

#define VMC_CGROUP_PATH_BYTES	1024

struct vmc_redirect_config {
	__u32	limited;	/* 1: only tasks below the cgroup in the map */
	char	cgroup[VMC_CGROUP_PATH_BYTES];	/* its path, for people */
};

#endif /* VMC_TOOL_REDIRECT_H */
