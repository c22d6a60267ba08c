// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one VM may use of the switch: circuits, memory of rings, connects each
 * second. The limits are the configuration's. Called by connect.c and
 * inbound.c.
 */
#include <errno.h>

#include "switch/quota.h"
#include "switch/vm.h"

#define SECOND_MS	1000

/* Whether so many circuits are too many, or the rings are. Counts it. */
static bool is_full(struct vmc_vm *vm, uint32_t nr_circuits)
{
	const struct vmc_config_limits *limits = &vm->config->limits;

	if ((!limits->circuits || nr_circuits < limits->circuits) &&
	    (!limits->memory_bytes || vm->ring_bytes < limits->memory_bytes))
		return false;
	vm->stats.over_quota++;
	vmc_log_limited(&vm->log_limit, VMC_LOG_NOTICE,
			"%s \"%s\" is at its limit: %u circuits, %llu MiB of rings",
			vmc_vm_kind(vm), vm->config->name, vm->nr_circuits,
			(unsigned long long)vm->ring_bytes >> 20);
	return true;
}

/**
 * vmc_quota_has_room - whether a VM may begin one more circuit
 * @vm: the VM; counts it when it may not
 *
 * Those that it dials now count as well.
 */
bool vmc_quota_has_room(struct vmc_vm *vm)
{
	return !is_full(vm, vm->nr_circuits + vm->dials.nr);
}

/**
 * vmc_quota_may_take - whether a VM may have the rings of one more circuit
 * @vm: the VM; counts it when it may not
 *
 * Many may have begun before the first took its rings.
 */
bool vmc_quota_may_take(struct vmc_vm *vm)
{
	return !is_full(vm, vm->nr_circuits);
}

/**
 * vmc_quota_take_connect - count a CONNECT
 * @vm: who dials
 *
 * Return: 0, or ENOBUFS when the VM is at one of its limits.
 */
int vmc_quota_take_connect(struct vmc_vm *vm)
{
	uint32_t limit = vm->config->limits.connects_per_second;
	struct vmc_quota *quota = &vm->quota;
	uint64_t now_ms = vmc_loop_now_ms();

	if (!vmc_quota_has_room(vm))
		return ENOBUFS;
	if (now_ms - quota->second_began_ms >= SECOND_MS) {
		quota->second_began_ms = now_ms;
		quota->nr_connects = 0;
	}
	if (limit && quota->nr_connects >= limit) {
		vm->stats.over_quota++;
		return ENOBUFS;
	}
	quota->nr_connects++;
	return 0;
}
