// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSG_ZEROCOPY. A ring is filled by copying, so a program that has set
 * SO_ZEROCOPY is told at once, in the error queue, that its memory is its own
 * again and that it was copied: what TCP tells of the loopback device. The
 * notices are the kernel's. Called by stream.c.
 */
#include <linux/skbuff.h>
#include "compat.h"
#include "zerocopy.h"

/**
 * vmc_zerocopy_begin - a send() that may have to be told of begins
 * @sk: owned
 * @msg: with its flags and data
 * @ret_notice: for vmc_zerocopy_end(), NULL if nothing is to be told
 *
 * Return: 0, or -ENOBUFS when there are too many notices that nobody read.
 */
int vmc_zerocopy_begin(struct sock *sk, struct msghdr *msg,
		       struct ubuf_info **ret_notice)
{
	struct ubuf_info *notice = NULL;

	if (sock_flag(sk, SOCK_ZEROCOPY) && msg_data_left(msg)) {
		notice = vmc_zerocopy_alloc(sk, msg_data_left(msg));
		if (!notice)
			return -ENOBUFS;
		uarg_to_msgzc(notice)->zerocopy = 0;
	}
	*ret_notice = notice;
	return 0;
}

/**
 * vmc_zerocopy_end - the send() is over
 * @notice: what vmc_zerocopy_begin() gave, or NULL
 * @sent: bytes, or a negative errno: then there is nothing to tell
 */
void vmc_zerocopy_end(struct ubuf_info *notice, int sent)
{
	if (sent > 0)
		net_zcopy_put(notice);
	else
		net_zcopy_put_abort(notice, true);
}
