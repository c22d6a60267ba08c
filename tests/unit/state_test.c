// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * proto/state.h: every transition, against a table written from the words of
 * the protocol and not from the code: one line for each permitted pair, all
 * other pairs must be refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/state.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	enum vmc_state from;
	enum vmc_event event;
	enum vmc_state to;
} permitted[] = {
	/* An end without a circuit begins one, or is never used. */
	{ VMC_STATE_FREE, VMC_EVENT_CONNECT, VMC_STATE_CONNECTING },
	{ VMC_STATE_FREE, VMC_EVENT_OFFER, VMC_STATE_OFFERED },
	{ VMC_STATE_FREE, VMC_EVENT_CLOSE, VMC_STATE_CLOSED },

	/* Both beginnings end in a circuit, a failure, or a giving up. */
	{ VMC_STATE_CONNECTING, VMC_EVENT_ESTABLISH, VMC_STATE_OPEN },
	{ VMC_STATE_CONNECTING, VMC_EVENT_BREAK, VMC_STATE_BROKEN },
	{ VMC_STATE_CONNECTING, VMC_EVENT_CLOSE, VMC_STATE_CLOSED },
	{ VMC_STATE_OFFERED, VMC_EVENT_ESTABLISH, VMC_STATE_OPEN },
	{ VMC_STATE_OFFERED, VMC_EVENT_BREAK, VMC_STATE_BROKEN },
	{ VMC_STATE_OFFERED, VMC_EVENT_CLOSE, VMC_STATE_CLOSED },

	/* Directions end one by one, in any order; twice is once. */
	{ VMC_STATE_OPEN, VMC_EVENT_SHUT_TX, VMC_STATE_TX_SHUT },
	{ VMC_STATE_OPEN, VMC_EVENT_SHUT_RX, VMC_STATE_RX_SHUT },
	{ VMC_STATE_TX_SHUT, VMC_EVENT_SHUT_TX, VMC_STATE_TX_SHUT },
	{ VMC_STATE_TX_SHUT, VMC_EVENT_SHUT_RX, VMC_STATE_BOTH_SHUT },
	{ VMC_STATE_RX_SHUT, VMC_EVENT_SHUT_TX, VMC_STATE_BOTH_SHUT },
	{ VMC_STATE_RX_SHUT, VMC_EVENT_SHUT_RX, VMC_STATE_RX_SHUT },
	{ VMC_STATE_BOTH_SHUT, VMC_EVENT_SHUT_TX, VMC_STATE_BOTH_SHUT },
	{ VMC_STATE_BOTH_SHUT, VMC_EVENT_SHUT_RX, VMC_STATE_BOTH_SHUT },

	/* Whatever is open may break, and may be let go. */
	{ VMC_STATE_OPEN, VMC_EVENT_BREAK, VMC_STATE_BROKEN },
	{ VMC_STATE_TX_SHUT, VMC_EVENT_BREAK, VMC_STATE_BROKEN },
	{ VMC_STATE_RX_SHUT, VMC_EVENT_BREAK, VMC_STATE_BROKEN },
	{ VMC_STATE_BOTH_SHUT, VMC_EVENT_BREAK, VMC_STATE_BROKEN },
	{ VMC_STATE_OPEN, VMC_EVENT_CLOSE, VMC_STATE_CLOSED },
	{ VMC_STATE_TX_SHUT, VMC_EVENT_CLOSE, VMC_STATE_CLOSED },
	{ VMC_STATE_RX_SHUT, VMC_EVENT_CLOSE, VMC_STATE_CLOSED },
	{ VMC_STATE_BOTH_SHUT, VMC_EVENT_CLOSE, VMC_STATE_CLOSED },

	/* A broken end stays so until it is let go. */
	{ VMC_STATE_BROKEN, VMC_EVENT_SHUT_TX, VMC_STATE_BROKEN },
	{ VMC_STATE_BROKEN, VMC_EVENT_SHUT_RX, VMC_STATE_BROKEN },
	{ VMC_STATE_BROKEN, VMC_EVENT_BREAK, VMC_STATE_BROKEN },
	{ VMC_STATE_BROKEN, VMC_EVENT_CLOSE, VMC_STATE_CLOSED },
};

static void permitted_events_lead_where_they_should(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(permitted); i++)
		assert_int_equal(vmc_state_next(permitted[i].from,
						permitted[i].event),
				 permitted[i].to);
}

static int is_permitted(int from, int event)
{
	for (size_t i = 0; i < ARRAY_SIZE(permitted); i++) {
		if ((int)permitted[i].from == from &&
		    (int)permitted[i].event == event)
			return 1;
	}
	return 0;
}

static void all_other_events_are_refused(void **state)
{
	int refused = 0;

	for (int from = 0; from < VMC_NR_STATES; from++) {
		for (int event = 0; event < VMC_NR_EVENTS; event++) {
			if (is_permitted(from, event))
				continue;
			assert_int_equal(vmc_state_next(from, event),
					 VMC_STATE_INVALID);
			refused++;
		}
	}
	assert_int_equal(refused + ARRAY_SIZE(permitted),
			 VMC_NR_STATES * VMC_NR_EVENTS);
}

static void closed_permits_nothing(void **state)
{
	for (int event = 0; event < VMC_NR_EVENTS; event++)
		assert_int_equal(vmc_state_next(VMC_STATE_CLOSED, event),
				 VMC_STATE_INVALID);
}

static void values_that_do_not_exist_are_refused(void **state)
{
	static const int hostile[] = { -1, 100, 0x7fffffff,
				       (int)0x80000000 };

	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		assert_int_equal(vmc_state_next((enum vmc_state)hostile[i],
						VMC_EVENT_CLOSE),
				 VMC_STATE_INVALID);
		assert_int_equal(vmc_state_next(VMC_STATE_OPEN,
						(enum vmc_event)hostile[i]),
				 VMC_STATE_INVALID);
		assert_string_equal(
			vmc_state_name((enum vmc_state)hostile[i]), "invalid");
	}
	assert_int_equal(vmc_state_next(VMC_STATE_INVALID, VMC_EVENT_CLOSE),
			 VMC_STATE_INVALID);
	assert_int_equal(vmc_state_next(VMC_STATE_OPEN, VMC_NR_EVENTS),
			 VMC_STATE_INVALID);
}

static void every_state_can_be_left_by_close(void **state)
{
	for (int from = 0; from < VMC_NR_STATES; from++) {
		if (from == VMC_STATE_CLOSED)
			continue;
		assert_int_equal(vmc_state_next(from, VMC_EVENT_CLOSE),
				 VMC_STATE_CLOSED);
	}
}

static void nothing_leads_back_to_free(void **state)
{
	for (int from = 0; from < VMC_NR_STATES; from++) {
		for (int event = 0; event < VMC_NR_EVENTS; event++)
			assert_int_not_equal(vmc_state_next(from, event),
					     VMC_STATE_FREE);
	}
}

static void every_state_has_a_name_of_its_own(void **state)
{
	for (int i = 0; i < VMC_NR_STATES; i++) {
		assert_non_null(vmc_state_name(i));
		assert_string_not_equal(vmc_state_name(i), "invalid");
		for (int j = 0; j < i; j++)
			assert_string_not_equal(vmc_state_name(i),
						vmc_state_name(j));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permitted_events_lead_where_they_should),
		cmocka_unit_test(all_other_events_are_refused),
		cmocka_unit_test(closed_permits_nothing),
		cmocka_unit_test(values_that_do_not_exist_are_refused),
		cmocka_unit_test(every_state_can_be_left_by_close),
		cmocka_unit_test(nothing_leads_back_to_free),
		cmocka_unit_test(every_state_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
