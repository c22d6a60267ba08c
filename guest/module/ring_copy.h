/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_RING_COPY_H
#define VMC_RING_COPY_H

#include <linux/types.h>
#include "../../proto/record.h"

struct iov_iter;
struct sk_buff;
struct vmc_circuit;

u32 vmc_ring_copy_in(struct vmc_circuit *circuit, u32 skip, u32 bytes,
		     struct iov_iter *from);
u32 vmc_ring_copy_out(struct vmc_circuit *circuit, u32 skip, u32 bytes,
		      struct iov_iter *to);
void vmc_ring_copy_from_packet(struct vmc_circuit *circuit, u32 skip,
			       struct sk_buff *skb, u32 at, u32 bytes);
void vmc_ring_copy_to_packet(const struct vmc_circuit *circuit, u32 skip,
			     struct sk_buff *skb, u32 at, u32 bytes);
struct sk_buff *vmc_ring_to_packet(const struct vmc_circuit *circuit, u32 skip,
				   u32 head_bytes, u32 bytes);
void vmc_ring_put_record(struct vmc_circuit *circuit, u32 skip, u32 bytes,
			 struct vmc_record record);
struct vmc_record vmc_ring_record(const u8 *ring, u32 ring_bytes, u32 at);

#endif /* VMC_RING_COPY_H */
