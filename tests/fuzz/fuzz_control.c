// SPDX-License-Identifier: GPL-2.0-or-later
/* The line that a client of the control socket sends. */
#include <stdint.h>

#include "switch/control_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct vmc_config_vm configs[] = {
		{ .name = "a", .network = "default" },
		{ .name = "b", .network = "default" },
	};
	static struct vmc_vm vms[] = {
		{ .config = &configs[0] },
		{ .config = &configs[1] },
	};
	static struct vmc_broker broker = { .table = { NULL, 2, vms } };
	struct vmc_control_reply reply;
	const char *complaint;

	vms[0].connection.socket.fd = -1;
	vms[1].connection.socket.fd = -1;
	if (vmc_control_parse(&broker, (const char *)data, bytes, &reply,
			      &complaint))
		return 0;
	while (!reply.is_over)
		json_object_put(vmc_control_next(&broker, &reply));
	return 0;
}
