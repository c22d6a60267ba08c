// SPDX-License-Identifier: GPL-2.0-or-later
/* The line that a client of the control socket sends. */
#include <stdint.h>
#include <stdlib.h>

#include "switch/control_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A reload fails there; fuzz_config.c has the files. */
static char path[] = "/nonexistent";

static struct vmc_config_vm configs[] = {
	{ .name = "a", .network = "default", .nr_addresses = 1,
	  .addresses = { { { 10, 0, 0, 1 }, VMC_FAMILY_INET, 24, { 0 } } } },
	{ .name = "b", .network = "default" },
};

static struct vmc_config config = {
	.path = path,
	.nr_vms = 2,
	.vms = configs,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct vmc_vm vms[] = {
		{ .config = &configs[0] },
		{ .config = &configs[1] },
	};
	static struct vmc_broker broker = { .table = { &config, 2, vms,
						       NULL } };
	struct vmc_control_reply reply;
	const char *complaint;

	if (!config.policy && vmc_policy_create(2, &config.policy))
		abort();
	vms[0].connection.socket.fd = -1;
	vms[1].connection.socket.fd = -1;
	if (vmc_control_parse(&broker, (const char *)data, bytes, &reply,
			      &complaint))
		return 0;
	while (!reply.is_over)
		json_object_put(vmc_control_next(&broker, &reply));
	return 0;
}
