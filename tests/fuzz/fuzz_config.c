// SPDX-License-Identifier: GPL-2.0-or-later
/* A configuration file. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "switch/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static int fd = -1;
	char complaint[VMC_COMPLAINT_BYTES];
	struct vmc_config *config;
	char path[32];

	if (fd < 0)
		fd = memfd_create("config", 0);
	if (ftruncate(fd, 0) || pwrite(fd, data, bytes, 0) != (ssize_t)bytes)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!vmc_config_read(path, bytes % 2 ? VMC_CONFIG_START :
			     VMC_CONFIG_RELOAD, &config, complaint))
		vmc_config_free(config);
	else if (!*complaint || strchr(complaint, '\n'))
		abort();
	return 0;
}
