// SPDX-License-Identifier: GPL-2.0-or-later
/* What is said to a SOCKS5 proxy, and what is made of its answers. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "switch/socks5.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
/* What a proxy says, and where the target's bytes begin. */
#define TARGET_BYTE	0x54

static const struct vmc_proxy plain;
static const struct vmc_proxy secret = {
	.has_password = true, .user = "me", .password = "word",
};

static struct vmc_socks5 socks5;
static uint8_t sent[VMC_SOCKS5_MAX_BYTES];

static void begin(const struct vmc_proxy *proxy, int family,
		  const char *address, uint16_t port)
{
	struct vmc_name target = { .port = htole16(port) };

	target.family = family == AF_INET ? VMC_FAMILY_INET : VMC_FAMILY_INET6;
	assert_int_equal(inet_pton(family, address, target.address), 1);
	vmc_socks5_begin(&socks5, proxy, &target);
}

static void begin_plain(void)
{
	begin(&plain, AF_INET, "192.0.2.1", 443);
}

static void expect_output(const void *bytes, size_t nr_bytes)
{
	assert_int_equal(vmc_socks5_output(&socks5, sent), nr_bytes);
	assert_memory_equal(sent, bytes, nr_bytes);
	assert_int_equal(vmc_socks5_output(&socks5, sent), 0);
}

static int answer(const void *bytes, size_t nr_bytes)
{
	return vmc_socks5_input(&socks5, bytes, nr_bytes);
}

/* Up to where the reply to CONNECT is due. */
static void go_to_reply(void)
{
	begin_plain();
	vmc_socks5_output(&socks5, sent);
	assert_int_equal(answer("\5\0", 2), 0);
	vmc_socks5_output(&socks5, sent);
	assert_int_equal(socks5.state, VMC_SOCKS5_REPLY);
}

/*
 * Read a reply from a stream in which the target's bytes follow at once, as
 * much as wanted, or @step bytes at a time. Return: what was taken.
 */
static size_t read_reply(const uint8_t *stream, size_t step)
{
	size_t taken = 0, wanted;

	go_to_reply();
	while ((wanted = vmc_socks5_wanted(&socks5))) {
		if (wanted > step)
			wanted = step;
		assert_int_equal(answer(stream + taken, wanted), 0);
		taken += wanted;
	}
	assert_int_equal(socks5.state, VMC_SOCKS5_DONE);
	assert_int_equal(vmc_socks5_output(&socks5, sent), 0);
	return taken;
}

static void connect_to_an_ipv4_address(void **state)
{
	begin_plain();
	expect_output("\5\1\0", 3);
	assert_int_equal(vmc_socks5_wanted(&socks5), 2);
	assert_int_equal(answer("\5\0", 2), 0);
	expect_output("\5\1\0\1\xc0\0\2\1\1\xbb", 10);
	assert_int_equal(vmc_socks5_wanted(&socks5), 5);
	assert_int_equal(answer("\5\0\0\1\xa", 5), 0);
	assert_int_equal(vmc_socks5_wanted(&socks5), 5);
	assert_int_equal(answer("\0\0\1\4\x38", 5), 0);
	assert_int_equal(vmc_socks5_wanted(&socks5), 0);
	assert_int_equal(socks5.state, VMC_SOCKS5_DONE);
}

static void connect_to_an_ipv6_address_with_a_password(void **state)
{
	begin(&secret, AF_INET6, "2001:db8::17", 0xfffe);
	expect_output("\5\2\0\2", 4);
	assert_int_equal(answer("\5\2", 2), 0);
	expect_output("\1\2me\4word", 9);
	assert_int_equal(vmc_socks5_wanted(&socks5), 2);
	assert_int_equal(answer("\1\0", 2), 0);
	expect_output("\5\1\0\4\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\x17\xff\xfe",
		      22);
	assert_int_equal(answer("\5\0\0\4\0", 5), 0);
	assert_int_equal(vmc_socks5_wanted(&socks5), 17);
}

static void a_proxy_may_want_no_password(void **state)
{
	begin(&secret, AF_INET, "192.0.2.1", 80);
	vmc_socks5_output(&socks5, sent);
	assert_int_equal(answer("\5\0", 2), 0);
	expect_output("\5\1\0\1\xc0\0\2\1\0\x50", 10);
}

static void the_longest_password_fits(void **state)
{
	struct vmc_proxy proxy = { .has_password = true };

	memset(proxy.user, 'u', 255);
	memset(proxy.password, 'p', 255);
	begin(&proxy, AF_INET, "192.0.2.1", 80);
	vmc_socks5_output(&socks5, sent);
	assert_int_equal(answer("\5\2", 2), 0);
	assert_int_equal(vmc_socks5_output(&socks5, sent), 513);
	assert_memory_equal(sent, "\1\xffu", 3);
	assert_memory_equal(sent + 256, "u\xffp", 3);
	assert_int_equal(sent[512], 'p');
	/* Without a terminating zero nothing beyond is read, as ASan sees. */
	memset(proxy.password, 'p', sizeof(proxy.password));
	begin(&proxy, AF_INET, "192.0.2.1", 80);
	vmc_socks5_output(&socks5, sent);
	assert_int_equal(answer("\5\2", 2), 0);
	assert_int_equal(vmc_socks5_output(&socks5, sent), 513);
}

static void no_byte_of_the_target_is_taken(void **state)
{
	static const struct {
		uint8_t type, first;
		size_t bytes;
	} replies[] = {
		{ 1, 10, 10 }, { 1, 255, 10 }, { 4, 0, 22 }, { 4, 255, 22 },
		{ 3, 0, 7 }, { 3, 1, 8 }, { 3, 11, 18 }, { 3, 255, 262 },
	};
	uint8_t stream[300];
	size_t i, step;

	for (i = 0; i < ARRAY_SIZE(replies); i++) {
		memset(stream, TARGET_BYTE, sizeof(stream));
		memcpy(stream, "\5\0\0", 3);
		stream[3] = replies[i].type;
		stream[4] = replies[i].first;
		for (step = 1; step <= sizeof(stream); step++)
			assert_int_equal(read_reply(stream, step),
					 replies[i].bytes);
	}
}

static void answers_may_come_byte_by_byte(void **state)
{
	begin(&secret, AF_INET, "192.0.2.1", 80);
	vmc_socks5_output(&socks5, sent);
	assert_int_equal(answer("\5", 1), 0);
	assert_int_equal(vmc_socks5_wanted(&socks5), 1);
	assert_int_equal(vmc_socks5_output(&socks5, sent), 0);
	assert_int_equal(answer("\2", 1), 0);
	assert_true(vmc_socks5_output(&socks5, sent) > 0);
	assert_int_equal(answer("\1", 1), 0);
	assert_int_equal(answer("", 0), 0);
	assert_int_equal(vmc_socks5_wanted(&socks5), 1);
	assert_int_equal(answer("\0", 1), 0);
	assert_int_equal(vmc_socks5_output(&socks5, sent), 10);
}

static void refusals_are_what_connect_says(void **state)
{
	static const int errors[] = {
		[1] = -EHOSTUNREACH, [2] = -EACCES, [3] = -ENETUNREACH,
		[4] = -EHOSTUNREACH, [5] = -ECONNREFUSED,
		[6] = -EHOSTUNREACH, [7] = -ECONNREFUSED,
		[8] = -ENETUNREACH,
	};
	uint8_t reply[5] = { 5, 0, 0, 1, 0 };
	unsigned int code, nr;

	for (code = 1; code <= 255; code++) {
		reply[1] = (uint8_t)code;
		/* Some hang up after the code. */
		for (nr = 2; nr <= sizeof(reply); nr++) {
			go_to_reply();
			assert_int_equal(answer(reply, nr),
					 code < ARRAY_SIZE(errors) ?
					 errors[code] : -EHOSTUNREACH);
		}
	}
	go_to_reply();
	assert_int_equal(answer("\5", 1), 0);
	assert_int_equal(answer("\5", 1), -ECONNREFUSED);
}

static void a_proxy_that_takes_no_method_denies_access(void **state)
{
	begin_plain();
	vmc_socks5_output(&socks5, sent);
	assert_int_equal(answer("\5\xff", 2), -EACCES);
}

static void a_wrong_password_denies_access(void **state)
{
	unsigned int status;

	for (status = 1; status <= 255; status++) {
		uint8_t reply[2] = { 1, (uint8_t)status };

		begin(&secret, AF_INET, "192.0.2.1", 80);
		vmc_socks5_output(&socks5, sent);
		assert_int_equal(answer("\5\2", 2), 0);
		vmc_socks5_output(&socks5, sent);
		assert_int_equal(answer(reply, 2), -EACCES);
	}
}

static void methods_that_were_not_offered_are_refused(void **state)
{
	unsigned int method;

	for (method = 1; method < 255; method++) {
		uint8_t reply[2] = { 5, (uint8_t)method };

		begin_plain();
		vmc_socks5_output(&socks5, sent);
		assert_int_equal(answer(reply, 2), -EPROTO);
		begin(&secret, AF_INET, "192.0.2.1", 80);
		vmc_socks5_output(&socks5, sent);
		assert_int_equal(answer(reply, 2),
				 method == 2 ? 0 : -EPROTO);
	}
}

/* An HTTP server, a SOCKS4 proxy, and the like. */
static void what_is_not_socks5_is_found_at_once(void **state)
{
	unsigned int byte;

	for (byte = 0; byte <= 255; byte++) {
		uint8_t first = (uint8_t)byte;
		uint8_t head[5] = { 5, 0, 0, first, 0 };

		begin_plain();
		vmc_socks5_output(&socks5, sent);
		assert_int_equal(answer(&first, 1), byte == 5 ? 0 : -EPROTO);
		go_to_reply();
		assert_int_equal(answer(&first, 1), byte == 5 ? 0 : -EPROTO);
		go_to_reply();
		assert_int_equal(answer(head, 4), byte == 1 || byte == 3 ||
				 byte == 4 ? 0 : -EPROTO);
		begin(&secret, AF_INET, "192.0.2.1", 80);
		vmc_socks5_output(&socks5, sent);
		assert_int_equal(answer("\5\2", 2), 0);
		vmc_socks5_output(&socks5, sent);
		assert_int_equal(answer(&first, 1), byte == 1 ? 0 : -EPROTO);
	}
}

static void more_than_wanted_is_not_taken(void **state)
{
	uint8_t many[VMC_SOCKS5_MAX_BYTES + 1] = { 5 };

	begin_plain();
	assert_int_equal(answer(many, 1), -EINVAL);
	vmc_socks5_output(&socks5, sent);
	assert_int_equal(answer(many, 3), -EINVAL);
	assert_int_equal(answer(many, sizeof(many)), -EINVAL);
	assert_int_equal(vmc_socks5_wanted(&socks5), 2);
	assert_int_equal(answer("\5\0", 2), 0);
	assert_int_equal(answer(many, 1), -EINVAL);
}

static void a_failed_handshake_never_looks_done(void **state)
{
	begin_plain();
	vmc_socks5_output(&socks5, sent);
	assert_int_equal(answer("\5\xff", 2), -EACCES);
	assert_true(vmc_socks5_wanted(&socks5) > 0);
	go_to_reply();
	assert_int_equal(answer("\5\0\0\2\0", 5), -EPROTO);
	assert_true(vmc_socks5_wanted(&socks5) > 0);
	go_to_reply();
	assert_int_equal(answer("\5\1", 2), -EHOSTUNREACH);
	assert_true(vmc_socks5_wanted(&socks5) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connect_to_an_ipv4_address),
		cmocka_unit_test(connect_to_an_ipv6_address_with_a_password),
		cmocka_unit_test(a_proxy_may_want_no_password),
		cmocka_unit_test(the_longest_password_fits),
		cmocka_unit_test(no_byte_of_the_target_is_taken),
		cmocka_unit_test(answers_may_come_byte_by_byte),
		cmocka_unit_test(refusals_are_what_connect_says),
		cmocka_unit_test(a_proxy_that_takes_no_method_denies_access),
		cmocka_unit_test(a_wrong_password_denies_access),
		cmocka_unit_test(methods_that_were_not_offered_are_refused),
		cmocka_unit_test(what_is_not_socks5_is_found_at_once),
		cmocka_unit_test(more_than_wanted_is_not_taken),
		cmocka_unit_test(a_failed_handshake_never_looks_done),
	};

	return cmocka_run_group_tests_name("socks5", tests, NULL, NULL);
}
