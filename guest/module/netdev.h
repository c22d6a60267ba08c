/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_NETDEV_H
#define VMC_NETDEV_H

#include <linux/types.h>

struct napi_struct;
struct net;
struct net_device;
struct sk_buff;

/**
 * struct vmc_netdev_user - who has to do with the packets of circuit0
 * @transmit: takes a packet that leaves, or says false; bottom halves off
 * @poll: gives what comes to vmc_netdev_receive_polled(), as NAPI has it
 */
struct vmc_netdev_user {
	bool (*transmit)(struct sk_buff *skb);
	int (*poll)(struct napi_struct *napi, int budget);
};

int vmc_netdev_create(const struct vmc_netdev_user *user);
void vmc_netdev_receive(struct sk_buff *skb);
void vmc_netdev_receive_now(struct sk_buff *skb);
void vmc_netdev_receive_polled(struct sk_buff *skb);
void vmc_netdev_wake(void);
struct net_device *vmc_netdev_device(void);
void vmc_netdev_destroy(void);
void vmc_netdev_set_carrier(bool is_up);
bool vmc_netdev_is(const struct net_device *dev);
int vmc_netdev_ifindex(void);
unsigned int vmc_netdev_mtu(void);
unsigned int vmc_netdev_mss(int family);
struct net *vmc_netdev_net(void);

#endif /* VMC_NETDEV_H */
