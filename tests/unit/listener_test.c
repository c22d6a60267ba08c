// SPDX-License-Identifier: GPL-2.0-or-later
/* Which listener a connect reaches. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "switch/address.h"
#include "switch/listener.h"

static struct vmc_listener_table table;

static struct vmc_name name(const char *address, uint16_t port)
{
	struct vmc_name name = { .port = htole16(port) };

	name.family = VMC_FAMILY_INET;
	if (inet_pton(AF_INET, address, name.address) != 1) {
		name.family = VMC_FAMILY_INET6;
		assert_int_equal(inet_pton(AF_INET6, address, name.address),
				 1);
	}
	return name;
}

static int add(uint32_t id, const char *address, bool is_v6only)
{
	struct vmc_listener listener = {
		.id = id,
		.is_v6only = is_v6only,
		.local = name(address, 80),
	};

	return vmc_listener_add(&table, &listener);
}

/* The number of the listener that is reached, 0: none. */
static uint32_t reach(const char *address, uint16_t port, uint64_t hash)
{
	struct vmc_name dialled = name(address, port);
	const struct vmc_listener *listener;

	listener = vmc_listener_match(&table, &dialled, hash);
	return listener ? listener->id : 0;
}

static int clear(void **state)
{
	(void)state;
	vmc_listener_clear(&table);
	return table.nr != 0;
}

static void nobody_listens(void **state)
{
	(void)state;
	assert_int_equal(reach("10.0.0.1", 80, 0), 0);
	add(1, "10.0.0.1", false);
	assert_int_equal(reach("10.0.0.1", 81, 0), 0);
	assert_int_equal(reach("10.0.0.2", 80, 0), 0);
	assert_int_equal(reach("::1", 80, 0), 0);
	/* The same bucket, another port. */
	assert_int_equal(reach("10.0.0.1", 80 + VMC_LISTENER_BUCKETS, 0), 0);
}

static void the_longest_match_wins(void **state)
{
	uint16_t port;

	(void)state;
	add(1, "::", false);
	assert_int_equal(reach("10.0.0.1", 80, 5), 1);
	add(2, "0.0.0.0", false);
	assert_int_equal(reach("10.0.0.1", 80, 5), 2);
	add(3, "10.0.0.1", false);
	assert_int_equal(reach("10.0.0.1", 80, 5), 3);
	assert_int_equal(reach("10.0.0.2", 80, 5), 2);
	assert_int_equal(reach("fd77::1", 80, 5), 1);
	add(4, "fd77::1", false);
	assert_int_equal(reach("fd77::1", 80, 5), 4);
	assert_int_equal(vmc_listener_remove(&table, 3, &port), 0);
	assert_int_equal(reach("10.0.0.1", 80, 5), 2);
}

static void v6only_takes_no_ipv4(void **state)
{
	(void)state;
	add(1, "::", true);
	assert_int_equal(reach("10.0.0.1", 80, 0), 0);
	assert_int_equal(reach("fd77::1", 80, 0), 1);
}

static void equal_listeners_share(void **state)
{
	unsigned int hits[4] = { 0 };
	uint64_t hash;

	(void)state;
	add(1, "0.0.0.0", false);
	add(2, "0.0.0.0", false);
	add(3, "0.0.0.0", false);
	for (hash = 0; hash < 300; hash++)
		hits[reach("10.0.0.1", 80, hash)]++;
	assert_int_equal(hits[0], 0);
	assert_int_equal(hits[1], 100);
	assert_int_equal(hits[2], 100);
	assert_int_equal(hits[3], 100);
}

static void the_hash_spreads_ports(void **state)
{
	struct vmc_name remote = name("10.0.0.2", 80);
	unsigned int hits[4] = { 0 };
	struct vmc_name local;
	unsigned int i;

	(void)state;
	for (i = 0; i < 4000; i++) {
		local = name("10.0.0.1", (uint16_t)(32768 + i));
		hits[vmc_name_hash(&local, &remote) % 4]++;
	}
	for (i = 0; i < 4; i++)
		assert_in_range(hits[i], 800, 1200);
}

static void ids_are_unique(void **state)
{
	uint16_t port = 0;

	(void)state;
	assert_int_equal(add(1, "0.0.0.0", false), 0);
	assert_int_equal(add(1, "10.0.0.1", false), -EADDRINUSE);
	assert_int_equal(vmc_listener_remove(&table, 2, &port), -ENOENT);
	assert_int_equal(vmc_listener_remove(&table, 1, &port), 0);
	assert_int_equal(port, 80);
	assert_int_equal(vmc_listener_remove(&table, 1, &port), -ENOENT);
}

static void their_number_is_limited(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 1; i <= VMC_MAX_LISTENERS; i++)
		assert_int_equal(add(i, "0.0.0.0", false), 0);
	assert_int_equal(add(i, "0.0.0.0", false), -ENOBUFS);
}

static void names_are_checked(void **state)
{
	struct vmc_name mapped = name("::ffff:10.0.0.1", 80);
	struct vmc_name plain = name("10.0.0.1", 80);
	struct vmc_name bad = plain;

	(void)state;
	assert_int_equal(vmc_name_check(&mapped), 0);
	assert_memory_equal(&mapped, &plain, sizeof(plain));
	bad.address[15] = 1;
	assert_int_equal(vmc_name_check(&bad), -EINVAL);
	bad = plain;
	bad.family = 5;
	assert_int_equal(vmc_name_check(&bad), -EINVAL);
	bad = plain;
	bad.scope = 1;
	assert_int_equal(vmc_name_check(&bad), -EINVAL);
	bad = plain;
	bad.pad = 1;
	assert_int_equal(vmc_name_check(&bad), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(nobody_listens, clear),
		cmocka_unit_test_teardown(the_longest_match_wins, clear),
		cmocka_unit_test_teardown(v6only_takes_no_ipv4, clear),
		cmocka_unit_test_teardown(equal_listeners_share, clear),
		cmocka_unit_test(the_hash_spreads_ports),
		cmocka_unit_test_teardown(ids_are_unique, clear),
		cmocka_unit_test_teardown(their_number_is_limited, clear),
		cmocka_unit_test(names_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
