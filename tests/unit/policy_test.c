// SPDX-License-Identifier: GPL-2.0-or-later
/* Who may talk to whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "switch/config.h"
#include "switch/policy.h"

static const struct vmc_config_vm vms[] = {
	{ .name = "a", .network = "default" },
	{ .name = "b", .network = "default" },
	{ .name = "c", .network = "else" },
	{ .name = "d", .network = "cells" },
	{ .name = "e", .network = "cells" },
};

static struct vmc_config_network networks[] = {
	{ .name = "else" },
	{ .name = "cells", .is_isolated = true },
};

static const struct vmc_config config = {
	.nr_networks = 2,
	.networks = networks,
};

static void one_network_is_open(void **state)
{
	(void)state;
	assert_true(vmc_policy_allows(&config, &vms[0], &vms[1]));
	assert_true(vmc_policy_allows(&config, &vms[1], &vms[0]));
}

static void networks_are_apart(void **state)
{
	(void)state;
	assert_false(vmc_policy_allows(&config, &vms[0], &vms[2]));
	assert_false(vmc_policy_allows(&config, &vms[2], &vms[0]));
}

static void an_isolated_network_is_silent(void **state)
{
	(void)state;
	assert_false(vmc_policy_allows(&config, &vms[3], &vms[4]));
}

static void everybody_reaches_himself(void **state)
{
	(void)state;
	assert_true(vmc_policy_allows(&config, &vms[3], &vms[3]));
	assert_true(vmc_policy_allows(&config, &vms[0], &vms[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_network_is_open),
		cmocka_unit_test(networks_are_apart),
		cmocka_unit_test(an_isolated_network_is_silent),
		cmocka_unit_test(everybody_reaches_himself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
