// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * proto/record.h: what a datagram takes in a ring, and which headers of a
 * hostile producer are believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/record.h"
#include "proto/ring.h"

static void span_is_header_and_padded_bytes(void **state)
{
	(void)state;
	assert_int_equal(vmc_record_span(0), 8);
	assert_int_equal(vmc_record_span(1), 16);
	assert_int_equal(vmc_record_span(8), 16);
	assert_int_equal(vmc_record_span(9), 24);
	assert_int_equal(vmc_record_span(VMC_DATAGRAM_MAX_BYTES), 8 + 65528);
}

static void headers_are_never_in_two_pieces(void **state)
{
	uint32_t at = 0, bytes;

	(void)state;
	for (bytes = 0; bytes < 3000; bytes++) {
		at += vmc_record_span(bytes);
		assert_true(vmc_ring_span(at, VMC_RING_MIN_BYTES,
					  sizeof(struct vmc_record)) ==
			    sizeof(struct vmc_record));
	}
}

static void default_rings_hold_the_largest_datagram(void **state)
{
	(void)state;
	assert_true(vmc_ring_size_is_valid(VMC_DATAGRAM_RING_BYTES));
	assert_true(vmc_record_span(VMC_DATAGRAM_MAX_BYTES) <
		    VMC_DATAGRAM_RING_BYTES);
}

static void whole_records_are_believed(void **state)
{
	uint32_t bytes, span;

	(void)state;
	for (bytes = 0; bytes <= VMC_DATAGRAM_MAX_BYTES; bytes += 13) {
		span = vmc_record_span(bytes);
		assert_int_equal(vmc_record_check(bytes, span), span);
		assert_int_equal(vmc_record_check(bytes, span + 4096), span);
	}
}

static void records_beyond_the_fill_are_lies(void **state)
{
	uint32_t bytes, span;

	(void)state;
	for (bytes = 0; bytes <= VMC_DATAGRAM_MAX_BYTES; bytes += 13) {
		span = vmc_record_span(bytes);
		assert_int_equal(vmc_record_check(bytes, span - 1), 0);
		assert_int_equal(vmc_record_check(bytes, 0), 0);
	}
}

static void datagrams_beyond_the_largest_are_lies(void **state)
{
	static const uint32_t lies[] = {
		VMC_DATAGRAM_MAX_BYTES + 1, 65536, 0x7fffffff, 0x80000000,
		0xfffffff0, 0xfffffff7, 0xfffffff8, 0xfffffff9, 0xffffffff,
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
		assert_int_equal(vmc_record_check(lies[i], UINT32_MAX), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(span_is_header_and_padded_bytes),
		cmocka_unit_test(headers_are_never_in_two_pieces),
		cmocka_unit_test(default_rings_hold_the_largest_datagram),
		cmocka_unit_test(whole_records_are_believed),
		cmocka_unit_test(records_beyond_the_fill_are_lies),
		cmocka_unit_test(datagrams_beyond_the_largest_are_lies),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
