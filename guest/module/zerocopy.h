/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_ZEROCOPY_H
#define VMC_ZEROCOPY_H

#include <net/sock.h>

int vmc_zerocopy_begin(struct sock *sk, struct msghdr *msg,
		       struct ubuf_info **ret_notice);
void vmc_zerocopy_end(struct ubuf_info *notice, int sent);

#endif /* VMC_ZEROCOPY_H */
