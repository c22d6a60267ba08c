// SPDX-License-Identifier: GPL-2.0-only
/*
 * Datagram sockets. Such a socket is the kernel's own UDP socket, with its port
 * tables, queues, options and errors, and is its own shadow: whatever is not a
 * circuit's is UDP's, without a word from here. Three things are added: a quick
 * way for what a plain sendto() sends through a flow (flow_send.c), a look at
 * the rings before UDP says that nothing has come, and the end of the flows.
 */
#define pr_fmt(fmt) "vmcircuit: " fmt
#include <linux/bpf-cgroup.h>
#include <linux/module.h>
#include <linux/net.h>
#include <net/inet_common.h>
#include <net/ipv6.h>
#include <net/protocol.h>
#include <net/udp.h>
#include "compat.h"
#include "datagram.h"
#include "flow.h"
#include "hub.h"
#include "option.h"
#include "ready.h"
#include "route.h"

/* Flags with which a datagram may go the quick way. */
#define QUICK_FLAGS	(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_CMSG_COMPAT)

/* UDP's own, and ours made of it; for each of the two families. */
struct datagram_family {
	int family;
	const struct proto *udp;
	const struct proto_ops *udp_ops;
	struct proto prot;
	struct proto_ops ops;
	struct inet_protosw protosw;
};

static struct datagram_family families[] = {
	{ .family = AF_INET }, { .family = AF_INET6 },
};

static struct datagram_family *family_of(const struct sock *sk)
{
	return &families[sk->sk_family == AF_INET6];
}

/**
 * vmc_datagram_is - whether a socket is one of these
 * @sk: any
 */
bool vmc_datagram_is(const struct sock *sk)
{
	const struct proto *prot = READ_ONCE(sk->sk_prot);

	return prot == &families[0].prot || prot == &families[1].prot;
}

static bool name_of(const struct sock *sk, const struct sockaddr *addr,
		    int addr_bytes, struct vmc_name *ret_name)
{
	const struct sockaddr_in6 *sin6 = (const void *)addr;
	const struct sockaddr_in *sin = (const void *)addr;
	__be16 port;

	memset(ret_name, 0, sizeof(*ret_name));
	ret_name->family = VMC_FAMILY_INET;
	if (sk->sk_family == AF_INET) {
		if (addr_bytes < sizeof(*sin) || sin->sin_family != AF_INET)
			return false;
		memcpy(ret_name->address, &sin->sin_addr, 4);
		port = sin->sin_port;
	} else {
		if (addr_bytes < sizeof(*sin6) ||
		    sin6->sin6_family != AF_INET6 || sin6->sin6_flowinfo ||
		    sin6->sin6_scope_id)
			return false;
		if (ipv6_addr_v4mapped(&sin6->sin6_addr)) {
			memcpy(ret_name->address,
			       &sin6->sin6_addr.s6_addr32[3], 4);
		} else {
			memcpy(ret_name->address, &sin6->sin6_addr, 16);
			ret_name->family = VMC_FAMILY_INET6;
		}
		port = sin6->sin6_port;
	}
	ret_name->port = cpu_to_le16(ntohs(port));
	return true;
}

/* The name of whom a connected socket is connected to. */
static bool peer_of(const struct sock *sk, struct vmc_name *ret_name)
{
	const struct inet_sock *inet = inet_sk(sk);

	if (READ_ONCE(sk->sk_state) != TCP_ESTABLISHED)
		return false;
	memset(ret_name, 0, sizeof(*ret_name));
	ret_name->port = cpu_to_le16(ntohs(inet->inet_dport));
	if (sk->sk_family == AF_INET6 &&
	    !ipv6_addr_v4mapped(&sk->sk_v6_daddr)) {
		memcpy(ret_name->address, &sk->sk_v6_daddr, 16);
		ret_name->family = VMC_FAMILY_INET6;
	} else {
		memcpy(ret_name->address, &inet->inet_daddr, 4);
		ret_name->family = VMC_FAMILY_INET;
	}
	return true;
}

/* Where UDP says EMSGSIZE: an IPv6 socket sends to mapped addresses, too. */
static bool is_too_large(const struct vmc_name *remote, size_t bytes)
{
	return bytes > VMC_DATAGRAM_MAX_BYTES -
		       (remote->family == VMC_FAMILY_INET ?
			sizeof(struct iphdr) : 0);
}

/* Whether UDP would do nothing but send; and to whom. */
static bool is_plain(const struct sock *sk, const struct msghdr *msg,
		     size_t bytes, struct vmc_name *ret_remote)
{
	const struct udp_sock *udp = udp_sk(sk);
	bool has_name;

	if ((msg->msg_flags & ~QUICK_FLAGS) || msg->msg_controllen ||
	    READ_ONCE(udp->pending) ||
	    READ_ONCE(udp->gso_size) || READ_ONCE(udp->encap_type) ||
	    udp_test_bit(CORK, sk) || READ_ONCE(sk->sk_err) ||
	    READ_ONCE(sk->sk_shutdown) || vmc_route_has_hooks())
		return false;
	has_name = msg->msg_name ?
		   name_of(sk, msg->msg_name, msg->msg_namelen, ret_remote) :
		   peer_of(sk, ret_remote);
	return has_name && !is_too_large(ret_remote, bytes);
}

/*
 * 0, or -EAGAIN to take the other way. @ret_may_learn: there is a flow, and
 * whether it is the one for plain datagrams is to be found out.
 */
static int quick_send(struct sock *sk, const struct msghdr *msg, size_t bytes,
		      const struct vmc_name *remote, bool *ret_may_learn)
{
	struct vmc_flow *flow;
	bool is_known;
	int err = -EAGAIN;

	rcu_read_lock();
	flow = vmc_flow_find_remote(sk, remote, &is_known);
	*ret_may_learn = flow && !is_known;
	if (is_known)
		err = vmc_flow_send(flow, &msg->msg_iter, bytes);
	rcu_read_unlock();
	return err;
}

/* Remember the way that the datagram just took for those that follow. */
static void learn_route(struct sock *sk, const struct vmc_name *remote)
{
	u32 bindings = atomic_read(&vmc_datagram_of(sk)->bindings);
	struct vmc_route_basis route;
	struct vmc_flow *flow;
	struct vmc_names names;

	if (!vmc_route_learn(sk, bindings, remote, &names, &route))
		return;
	rcu_read_lock();
	flow = vmc_flow_find(sk, &names);
	if (flow) {
		spin_lock_bh(&flow->lock);
		flow->route = route;
		spin_unlock_bh(&flow->lock);
	}
	rcu_read_unlock();
}

static int datagram_send(struct socket *sock, struct msghdr *msg, size_t bytes)
{
	struct sock *sk = sock->sk;
	struct vmc_name remote;
	bool may_learn = false;
	int ret;

	if (is_plain(sk, msg, bytes, &remote) &&
	    !quick_send(sk, msg, bytes, &remote, &may_learn)) {
		ret = bytes;
	} else {
		ret = family_of(sk)->udp_ops->sendmsg(sock, msg, bytes);
		if (may_learn && ret >= 0)
			learn_route(sk, &remote);
	}
	if (READ_ONCE(vmc_datagram_of(sk)->is_local))
		vmc_flow_arrive(sk);
	return ret;
}

/* The names may be others from now on, and so may be what a route follows. */
static void names_changed(struct sock *sk)
{
	atomic_inc(&vmc_datagram_of(sk)->bindings);
	vmc_flow_end_unwanted(sk);
}

static int datagram_bind(struct socket *sock, vmc_sockaddr *addr,
			 int addr_bytes)
{
	int err;

	vmc_flow_settle(sock->sk);
	err = family_of(sock->sk)->udp_ops->bind(sock, addr, addr_bytes);
	names_changed(sock->sk);
	return err;
}

static int datagram_connect(struct socket *sock, vmc_sockaddr *addr,
			    int addr_bytes, int flags)
{
	int err;

	vmc_flow_settle(sock->sk);
	err = family_of(sock->sk)->udp_ops->connect(sock, addr, addr_bytes,
						    flags);
	names_changed(sock->sk);
	return err;
}

/* Whether UDP would do nothing but copy, and nobody else wants to look. */
static bool is_plain_receive(const struct sock *sk, const struct msghdr *msg,
			     int flags)
{
	return !(flags & ~(QUICK_FLAGS | MSG_TRUNC)) && !msg->msg_controllen &&
	       !inet_cmsg_flags(inet_sk(sk)) &&
	       (sk->sk_family == AF_INET || !inet6_sk(sk)->rxopt.all) &&
	       !(READ_ONCE(sk->sk_flags) & (BIT(SOCK_RXQ_OVFL) |
					    BIT(SOCK_RCVTSTAMP) |
					    SK_FLAGS_TIMESTAMP)) &&
	       !READ_ONCE(sk->sk_err) && READ_ONCE(sk->sk_peek_off) < 0 &&
	       !rcu_access_pointer(sk->sk_filter) &&
	       !cgroup_bpf_enabled(CGROUP_UDP4_RECVMSG) &&
	       !cgroup_bpf_enabled(CGROUP_UDP6_RECVMSG);
}

static int datagram_receive(struct socket *sock, struct msghdr *msg,
			    size_t bytes, int flags)
{
	struct sock *sk = sock->sk;
	int taken;

	if (!(flags & (MSG_DONTWAIT | MSG_ERRQUEUE)) &&
	    READ_ONCE(vmc_datagram_of(sk)->nr_flows))
		vmc_ready_wait(sk);
	if (is_plain_receive(sk, msg, flags)) {
		taken = vmc_ready_take(sk, msg, bytes);
		if (taken >= 0)
			return flags & MSG_TRUNC ? taken :
			       min_t(size_t, taken, bytes);
	} else {
		vmc_ready_refresh(sk);
	}
	return family_of(sk)->udp_ops->recvmsg(sock, msg, bytes, flags);
}

static __poll_t datagram_poll_sock(struct file *file, struct socket *sock,
				   poll_table *wait)
{
	__poll_t mask;

	mask = family_of(sock->sk)->udp_ops->poll(file, sock, wait);
	if (mask & EPOLLIN || !(poll_requested_events(wait) & EPOLLIN))
		return mask;
	/* The waiter is on the queue now, so no bell is missed. */
	vmc_ready_refresh(sock->sk);
	return mask | family_of(sock->sk)->udp_ops->poll(file, sock, NULL);
}

static int datagram_ioctl(struct socket *sock, unsigned int cmd,
			  unsigned long arg)
{
	vmc_ready_refresh(sock->sk);
	return family_of(sock->sk)->udp_ops->ioctl(sock, cmd, arg);
}

static int datagram_init_sock(struct sock *sk)
{
	struct vmc_datagram *datagram = vmc_datagram_of(sk);
	int err;

	INIT_LIST_HEAD(&datagram->flows);
	atomic_set(&datagram->bindings, 0);
	atomic_set(&datagram->nr_awaited, 0);
	init_waitqueue_head(&datagram->arrival);
	vmc_ready_init(sk);
	err = family_of(sk)->udp->init(sk);
	if (err)
		return err;
	sk->sk_protocol = IPPROTO_UDP;
	/* Bells look at sockets under RCU. */
	sock_set_flag(sk, SOCK_RCU_FREE);
	return 0;
}

static void datagram_destroy_sock(struct sock *sk)
{
	vmc_flow_close_all(sk);
	vmc_ready_exit(sk);
	family_of(sk)->udp->destroy(sk);
}

/* Whether an option joins or leaves a group. */
static bool is_membership(int level, int name)
{
	if (level == SOL_IP)
		return name >= IP_ADD_MEMBERSHIP && name <= MCAST_MSFILTER;
	return level == SOL_IPV6 && (name == IPV6_ADD_MEMBERSHIP ||
				     name == IPV6_DROP_MEMBERSHIP ||
				     (name >= MCAST_JOIN_GROUP &&
				      name <= MCAST_MSFILTER));
}

/* What becomes IPv4's by IPV6_ADDRFORM would be ours no more. */
static int datagram_set_option(struct sock *sk, int level, int name,
			       sockptr_t value, unsigned int bytes)
{
	int err;

	if (sk->sk_family == AF_INET6 &&
	    vmc_option_of_datagram(level, name) == VMC_OPTION_REFUSED)
		return -EOPNOTSUPP;
	err = family_of(sk)->udp->setsockopt(sk, level, name, value, bytes);
	/* Before the program goes on, and tells somebody to send. */
	if (!err && is_membership(level, name))
		vmc_hub_groups_changed();
	/* UDP_CORK sends. */
	if (READ_ONCE(vmc_datagram_of(sk)->is_local))
		vmc_flow_arrive(sk);
	return err;
}

/* What UDP's own sockets are made of; not all of it is exported. */
static int family_learn(struct datagram_family *family)
{
	struct socket *sock;
	int err;

	err = sock_create_kern(&init_net, family->family, SOCK_DGRAM,
			       IPPROTO_UDP, &sock);
	if (err)
		return err;
	family->udp = sock->sk->sk_prot;
	family->udp_ops = sock->ops;
	sock_release(sock);
	return 0;
}

static void family_derive(struct datagram_family *family)
{
	struct proto *prot = &family->prot;

	*prot = *family->udp;
	strscpy(prot->name, family->family == AF_INET6 ? "VMCDATAGRAMv6" :
							 "VMCDATAGRAM");
	prot->owner = THIS_MODULE;
	prot->slab = NULL;
	prot->init = datagram_init_sock;
	prot->destroy = datagram_destroy_sock;
	prot->setsockopt = datagram_set_option;
#ifdef CONFIG_BPF_SYSCALL
	/* Sockmaps would put other functions in place of ours. */
	prot->psock_update_sk_prot = NULL;
#endif
	prot->obj_size = family->family == AF_INET6 ?
			 sizeof(struct vmc_datagram6_sock) :
			 sizeof(struct vmc_datagram_sock);

	family->ops = *family->udp_ops;
	family->ops.owner = THIS_MODULE;
	family->ops.bind = datagram_bind;
	family->ops.connect = datagram_connect;
	family->ops.sendmsg = datagram_send;
	family->ops.recvmsg = datagram_receive;
	family->ops.poll = datagram_poll_sock;
	family->ops.ioctl = datagram_ioctl;

	family->protosw.type = SOCK_DGRAM;
	family->protosw.protocol = VMC_IPPROTO_DATAGRAM;
	family->protosw.prot = prot;
	family->protosw.ops = &family->ops;
}

/**
 * vmc_datagram_register - let sockets be made
 *
 * Return: 0 or what the kernel's registrations say.
 */
int vmc_datagram_register(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		err = family_learn(&families[i]);
		if (err)
			return err;
		family_derive(&families[i]);
	}
	err = proto_register(&families[0].prot, 1);
	if (err)
		return err;
	err = proto_register(&families[1].prot, 1);
	if (err)
		goto unregister_prot;
	err = inet6_register_protosw(&families[1].protosw);
	if (err)
		goto unregister_prot6;
	inet_register_protosw(&families[0].protosw);
	return 0;

unregister_prot6:
	proto_unregister(&families[1].prot);
unregister_prot:
	proto_unregister(&families[0].prot);
	return err;
}

/**
 * vmc_datagram_unregister - no socket is left, and none shall be made
 */
void vmc_datagram_unregister(void)
{
	inet_unregister_protosw(&families[0].protosw);
	inet6_unregister_protosw(&families[1].protosw);
	/* Sockets are freed by RCU, into our slabs. */
	rcu_barrier();
	proto_unregister(&families[1].prot);
	proto_unregister(&families[0].prot);
}
