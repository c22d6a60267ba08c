/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_TRAITS_H
#define VMC_TRAITS_H

#include "../../proto/record.h"

struct sk_buff;
struct sock;

struct vmc_record vmc_traits_of_socket(const struct sock *sk, u8 family);
struct vmc_record vmc_traits_of_packet(const struct sock *sk,
				       const struct sk_buff *skb);

#endif /* VMC_TRAITS_H */
