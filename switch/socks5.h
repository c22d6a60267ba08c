/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_SOCKS5_H
#define VMC_SWITCH_SOCKS5_H

#include <stddef.h>
#include <stdint.h>

#include "switch/policy.h"

/* The longest message either way: user name and password, RFC 1929. */
#define VMC_SOCKS5_MAX_BYTES	520

enum vmc_socks5_state {
	VMC_SOCKS5_METHODS,	/* what we can do is to be sent */
	VMC_SOCKS5_METHOD,	/* the proxy chooses */
	VMC_SOCKS5_LOGIN,	/* user and password are to be sent */
	VMC_SOCKS5_LOGIN_REPLY,
	VMC_SOCKS5_REQUEST,	/* CONNECT is to be sent */
	VMC_SOCKS5_REPLY,
	VMC_SOCKS5_DONE,	/* what comes now is the peer's */
};

/* One handshake with a proxy. */
struct vmc_socks5 {
	enum vmc_socks5_state state;
	const struct vmc_proxy *proxy;
	struct vmc_name target;
	size_t nr_received;
	uint8_t received[VMC_SOCKS5_MAX_BYTES];
};

void vmc_socks5_begin(struct vmc_socks5 *socks5, const struct vmc_proxy *proxy,
		      const struct vmc_name *target);
size_t vmc_socks5_output(struct vmc_socks5 *socks5,
			 uint8_t ret_bytes[VMC_SOCKS5_MAX_BYTES]);
size_t vmc_socks5_wanted(const struct vmc_socks5 *socks5);
int vmc_socks5_input(struct vmc_socks5 *socks5, const uint8_t *raw_bytes,
		     size_t nr_bytes);

#endif /* VMC_SWITCH_SOCKS5_H */
