/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_RING_COPY_H
#define VMC_RING_COPY_H

#include <linux/types.h>

struct iov_iter;
struct vmc_circuit;

u32 vmc_ring_copy_in(struct vmc_circuit *circuit, u32 bytes,
		     struct iov_iter *from);
u32 vmc_ring_copy_out(struct vmc_circuit *circuit, u32 skip, u32 bytes,
		      struct iov_iter *to);

#endif /* VMC_RING_COPY_H */
