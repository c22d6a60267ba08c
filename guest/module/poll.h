/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_POLL_H
#define VMC_POLL_H

#include <linux/poll.h>
#include "sock.h"

__poll_t vmc_poll(struct file *file, struct socket *sock, poll_table *wait);

#endif /* VMC_POLL_H */
