/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_URGENT_H
#define VMC_URGENT_H

#include <linux/types.h>

struct msghdr;
struct sock;
struct vmc_circuit;

/* How vmc_urgent_span() answers. */
enum vmc_urgent_place {
	VMC_URGENT_ELSEWHERE,	/* the bytes up to the span are as any */
	VMC_URGENT_HERE,	/* the next byte is the urgent one */
};

void vmc_urgent_reset(struct sock *sk);
void vmc_urgent_mark(struct vmc_circuit *circuit, u32 bytes);
void vmc_urgent_notice(struct sock *sk, struct vmc_circuit *circuit);
enum vmc_urgent_place vmc_urgent_span(struct sock *sk,
				      const struct vmc_circuit *circuit,
				      u32 skip, u32 fill, u32 *ret_bytes);
bool vmc_urgent_is_out_of_band(const struct sock *sk);
bool vmc_urgent_is_unread(const struct sock *sk,
			  const struct vmc_circuit *circuit);
bool vmc_urgent_is_next(const struct sock *sk,
			const struct vmc_circuit *circuit);
u32 vmc_urgent_readable(const struct sock *sk, struct vmc_circuit *circuit);
int vmc_urgent_receive(struct sock *sk, u8 *ret_byte, int flags);

#endif /* VMC_URGENT_H */
