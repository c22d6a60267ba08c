// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmcircuit.ko: start and stop, in an order in which nothing is called before
 * it is ready.
 */
#include <linux/module.h>
#include "attach.h"
#include "datagram.h"
#include "device.h"
#include "dispatch.h"
#include "flow.h"
#include "hub.h"
#include "inet.h"
#include "link.h"
#include "local.h"
#include "netdev.h"
#include "proc.h"
#include "route.h"
#include "spin.h"

static bool transmit(struct sk_buff *skb)
{
	return vmc_hub_transmit(skb) || vmc_flow_transmit(skb);
}

static const struct vmc_netdev_user netdev_user = {
	.transmit	= transmit,
	.poll		= vmc_hub_poll,
};

static int __init vmc_init(void)
{
	int err;

	vmc_link_init(vmc_dispatch_links_released);
	vmc_attach_init(vmc_dispatch_switch_lost, vmc_dispatch_switch_found);
	err = vmc_netdev_create(&netdev_user);
	if (err)
		return err;
	err = vmc_route_init();
	if (err)
		goto destroy_netdev;
	err = vmc_spin_init();
	if (err)
		goto exit_route;
	err = vmc_flow_init();
	if (err)
		goto exit_spin;
	err = vmc_local_init();
	if (err)
		goto exit_flow;
	err = vmc_device_register(&vmc_dispatch);
	if (err)
		goto exit_local;
	err = vmc_proc_create();
	if (err)
		goto unregister_device;
	/* Last, for a socket cannot be taken back. */
	err = vmc_inet_register();
	if (err)
		goto remove_proc;
	err = vmc_datagram_register();
	if (err)
		goto unregister_inet;
	return 0;

unregister_inet:
	vmc_inet_unregister();
remove_proc:
	vmc_proc_remove();
unregister_device:
	vmc_device_unregister();
	vmc_link_exit();
	vmc_attach_exit();
exit_local:
	vmc_local_exit();
exit_flow:
	vmc_flow_exit();
exit_spin:
	vmc_spin_exit();
exit_route:
	vmc_route_exit();
destroy_netdev:
	vmc_netdev_destroy();
	return err;
}

static void __exit vmc_exit(void)
{
	vmc_datagram_unregister();
	vmc_inet_unregister();
	vmc_proc_remove();
	vmc_local_exit();
	vmc_flow_exit();
	vmc_device_unregister();
	vmc_link_exit();
	vmc_attach_exit();
	vmc_spin_exit();
	vmc_route_exit();
	vmc_netdev_destroy();
}

module_init(vmc_init);
module_exit(vmc_exit);
MODULE_DESCRIPTION("Circuit-switched sockets between virtual machines");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
#ifdef VMC_DEBUG
MODULE_INFO(checks, "itself");
#endif
MODULE_ALIAS_NET_PF_PROTO_TYPE(PF_INET, 261, SOCK_STREAM);
MODULE_ALIAS_NET_PF_PROTO_TYPE(PF_INET6, 261, SOCK_STREAM);
MODULE_ALIAS_NET_PF_PROTO_TYPE(PF_INET, 260, SOCK_DGRAM);
MODULE_ALIAS_NET_PF_PROTO_TYPE(PF_INET6, 260, SOCK_DGRAM);
