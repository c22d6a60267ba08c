// SPDX-License-Identifier: GPL-2.0-or-later
/* Slots and generations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "switch/circuit.h"

static struct vmc_circuit_table table;

static uint32_t take(void)
{
	uint32_t slot;

	assert_int_equal(vmc_circuit_take(&table, &slot), 0);
	table.circuits[slot].states[0] = VMC_STATE_OPEN;
	return slot;
}

static enum vmc_circuit_claim claim(uint32_t slot, uint32_t generation)
{
	struct vmc_circuit *circuit;

	return vmc_circuit_find(&table, slot, generation, &circuit);
}

static void a_freed_slot_rests(void **state)
{
	uint32_t first, i;

	(void)state;
	memset(&table, 0, sizeof(table));
	first = take();
	vmc_circuit_give(&table, first);
	for (i = 0; i < VMC_SLOT_REST - 1; i++) {
		uint32_t slot = take();

		assert_int_not_equal(slot, first);
		vmc_circuit_give(&table, slot);
	}
	assert_int_equal(take(), first);
	assert_int_equal(table.circuits[first].generation, 2);
}

static void slots_come_back_oldest_first(void **state)
{
	uint32_t slots[200], i;

	(void)state;
	memset(&table, 0, sizeof(table));
	for (i = 0; i < 200; i++)
		slots[i] = take();
	for (i = 0; i < 200; i++)
		vmc_circuit_give(&table, slots[199 - i]);
	for (i = 0; i < 100; i++)
		assert_int_equal(take(), slots[199 - i]);
}

static void all_slots_can_be_used(void **state)
{
	uint32_t slot, i;

	(void)state;
	memset(&table, 0, sizeof(table));
	for (i = 0; i < VMC_SLOTS_PER_LINK; i++)
		take();
	assert_int_not_equal(vmc_circuit_take(&table, &slot), 0);
	vmc_circuit_give(&table, 77);
	assert_int_equal(take(), 77);
	assert_int_equal(table.nr_open, VMC_SLOTS_PER_LINK);
}

static void claims_are_judged(void **state)
{
	uint32_t slot;

	(void)state;
	memset(&table, 0, sizeof(table));
	assert_int_equal(claim(0, 1), VMC_CLAIM_LIE);
	slot = take();
	assert_int_equal(claim(slot, 1), VMC_CLAIM_GOOD);
	assert_int_equal(claim(slot, 0), VMC_CLAIM_LIE);
	assert_int_equal(claim(slot, 2), VMC_CLAIM_LIE);
	assert_int_equal(claim(slot + 1, 1), VMC_CLAIM_LIE);
	assert_int_equal(claim(VMC_SLOTS_PER_LINK, 1), VMC_CLAIM_LIE);
	assert_int_equal(claim(UINT32_MAX, 1), VMC_CLAIM_LIE);
	vmc_circuit_give(&table, slot);
	assert_int_equal(claim(slot, 1), VMC_CLAIM_STALE);
	assert_int_equal(claim(slot, 2), VMC_CLAIM_LIE);
}

static void generations_wrap_past_zero(void **state)
{
	uint32_t slot;

	(void)state;
	memset(&table, 0, sizeof(table));
	slot = take();
	vmc_circuit_give(&table, slot);
	table.circuits[slot].generation = UINT32_MAX;
	table.nr_fresh = VMC_SLOTS_PER_LINK;
	assert_int_equal(take(), slot);
	assert_int_equal(table.circuits[slot].generation, 1);
	assert_int_equal(claim(slot, UINT32_MAX), VMC_CLAIM_STALE);
	assert_int_equal(claim(slot, 2), VMC_CLAIM_LIE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_freed_slot_rests),
		cmocka_unit_test(slots_come_back_oldest_first),
		cmocka_unit_test(all_slots_can_be_used),
		cmocka_unit_test(claims_are_judged),
		cmocka_unit_test(generations_wrap_past_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
