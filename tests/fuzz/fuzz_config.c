// SPDX-License-Identifier: GPL-2.0-or-later
/* A configuration file. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "switch/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static int fd = -1;
	struct vmc_config *config;
	char path[32];
	int quiet, old;

	if (fd < 0)
		fd = memfd_create("config", 0);
	if (ftruncate(fd, 0) || pwrite(fd, data, bytes, 0) != (ssize_t)bytes)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	/* The complaints are not of interest, only that they are harmless. */
	quiet = open("/dev/null", O_WRONLY);
	old = dup(2);
	dup2(quiet, 2);
	if (!vmc_config_read(path, &config))
		vmc_config_free(config);
	dup2(old, 2);
	close(old);
	close(quiet);
	return 0;
}
