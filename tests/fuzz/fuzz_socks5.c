// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a SOCKS5 proxy answers. The first byte of the input says which handshake
 * it is (bit 0: with a password, bit 1: to an IPv6 address) and how many bytes
 * come at a time (bits 2 to 7, 0: all that is wanted); the rest is the stream.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "switch/socks5.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check(bool is_true)
{
	if (!is_true)
		abort();
}

/* Where the target's bytes begin in a stream that ended in success. */
static size_t handshake_bytes(const uint8_t *stream)
{
	size_t login_bytes = stream[1] == 2 ? 2 : 0;
	const uint8_t *reply = stream + 2 + login_bytes;

	return 2 + login_bytes + 4 + 2 +
	       (reply[3] == 1 ? 4 : reply[3] == 4 ? 16 : 1U + reply[4]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const struct vmc_proxy proxies[2] = {
		{ .has_password = false },
		{ .has_password = true, .user = "user", .password = "secret" },
	};
	static const struct vmc_name targets[2] = {
		{ .family = VMC_FAMILY_INET, .address = { 192, 0, 2, 1 } },
		{ .family = VMC_FAMILY_INET6, .address = { 0xfd, 0x77 } },
	};
	uint8_t output[VMC_SOCKS5_MAX_BYTES];
	struct vmc_socks5 socks5;
	size_t at = 1, wanted, step;

	if (!bytes)
		return 0;
	step = data[0] >> 2;
	vmc_socks5_begin(&socks5, &proxies[data[0] & 1],
			 &targets[data[0] >> 1 & 1]);
	for (;;) {
		check(vmc_socks5_output(&socks5, output) <= sizeof(output));
		check(!vmc_socks5_output(&socks5, output));
		wanted = vmc_socks5_wanted(&socks5);
		if (!wanted)
			break;
		check(wanted <= sizeof(output));
		if (step && wanted > step)
			wanted = step;
		if (wanted > bytes - at)
			wanted = bytes - at;
		if (!wanted)
			return 0;	/* the proxy hung up */
		if (vmc_socks5_input(&socks5, data + at, wanted)) {
			check(vmc_socks5_wanted(&socks5));
			return 0;
		}
		at += wanted;
	}
	check(socks5.state == VMC_SOCKS5_DONE);
	check(at - 1 == handshake_bytes(data + 1));
	return 0;
}
