/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_NETDEV_H
#define VMC_NETDEV_H

#include <linux/types.h>

struct net;
struct net_device;
struct sk_buff;

int vmc_netdev_create(bool (*transmit)(struct sk_buff *skb));
void vmc_netdev_receive(struct sk_buff *skb);
void vmc_netdev_destroy(void);
void vmc_netdev_set_carrier(bool is_up);
bool vmc_netdev_is(const struct net_device *dev);
int vmc_netdev_ifindex(void);
unsigned int vmc_netdev_mtu(void);
struct net *vmc_netdev_net(void);

#endif /* VMC_NETDEV_H */
