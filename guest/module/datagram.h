/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_DATAGRAM_H
#define VMC_DATAGRAM_H

#include <linux/ipv6.h>
#include <linux/udp.h>
#include <linux/wait.h>
#include <net/sock.h>

/**
 * struct vmc_datagram - what a datagram socket has beside UDP's part
 * @ready: flows that ring no bell, because somebody looks at them
 * @look: looks at them when nobody else does
 * @has_looked: somebody did, since the timer ran
 * @bindings: how often it was bound or connected
 * @is_local: it has had flows between sockets of this VM
 * @nr_awaited: of these, those that are being dialled
 * @arrival: who has sent there, until they are not
 * @flows: all flows that new datagrams may take; the table's lock
 * @nr_flows: likewise
 * @is_closed: likewise
 */
struct vmc_datagram {
	spinlock_t ready_lock;
	struct list_head ready;
	struct timer_list look;
	bool has_looked;
	atomic_t bindings;
	bool is_local;
	atomic_t nr_awaited;
	wait_queue_head_t arrival;

	struct list_head flows;
	unsigned int nr_flows;
	bool is_closed;
	bool is_inet6;		/* fixed; so says which socket this is in */
};

struct vmc_datagram_sock {
	struct udp_sock udp;
	struct vmc_datagram datagram;
};

struct vmc_datagram6_sock {
	struct udp6_sock udp6;
	struct vmc_datagram datagram;
};

bool vmc_datagram_is(const struct sock *sk);
int vmc_datagram_register(void);
void vmc_datagram_unregister(void);

/* Our part of the socket; vmc_datagram_is() it. */
static inline struct vmc_datagram *vmc_datagram_of(const struct sock *sk)
{
	return sk->sk_family == AF_INET6 ?
	       &((struct vmc_datagram6_sock *)sk)->datagram :
	       &((struct vmc_datagram_sock *)sk)->datagram;
}

#endif /* VMC_DATAGRAM_H */
