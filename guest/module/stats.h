/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_STATS_H
#define VMC_STATS_H

#include <linux/percpu.h>
#include <linux/types.h>

struct seq_file;

/* Every counter of the module; the name is what /proc shows. */
#define VMC_STATS(X) \
	X(circuits_connected)		/* connect() ended in a circuit */ \
	X(circuits_accepted)		/* an OFFER ended in a circuit */ \
	X(circuits_closed)		/* of the two above, let go */ \
	X(circuits_reset)		/* broken by peer, switch or a lie */ \
	X(connects_failed)		/* the switch answered with an errno */ \
	X(offers_refused)		/* nobody listened, or no memory */ \
	X(fallback_no_route)		/* connect(): no route by circuit0 */ \
	X(fallback_local)		/* connect(): local, or to itself */ \
	X(fallback_switch_gone)		/* connect(): not attached */ \
	X(fallback_namespace)		/* socket of another network ns */ \
	X(accepted_tcp)			/* accept() returned plain TCP */ \
	X(doorbells_sent)		/* bits flipped for a peer */ \
	X(doorbells_pending)		/* bell was still unheard */ \
	X(doorbells_heard)		/* bits of a peer looked at */ \
	X(kicks_sent)			/* KICKs given to the switch */ \
	X(kicks_received)		/* KICKs that came */ \
	X(messages_sent)		/* requests to the switch */ \
	X(messages_received)		/* events other than KICK */ \
	X(bytes_sent)			/* copied into rings */ \
	X(bytes_received)		/* copied out of rings */ \
	X(datagrams_sent)		/* put into rings */ \
	X(datagrams_received)		/* taken out of rings, for a socket */ \
	X(datagrams_refused)		/* taken out, not for the socket */ \
	X(datagrams_unreachable)	/* no circuit was to be had for them */ \
	X(datagrams_unsent)		/* given up: the ring stayed full */ \
	X(datagrams_unsent_peer)	/* so peers say, of those for us */ \
	X(datagrams_unread)		/* in a ring that the peer left */ \
	X(packets_sent)			/* to the hub */ \
	X(packets_received)		/* from the hub, for the kernel */ \
	X(packets_refused)		/* from the hub, that nobody wants */ \
	X(packets_unsent)		/* for the hub, which had no room */ \
	X(packets_lost)			/* so the hub says, of those for us */ \
	X(spins_won)			/* waits that needed no sleep */ \
	X(spins_lost)			/* looked in vain, then slept */ \
	X(lies)				/* impossible values in shared memory */ \
	X(switch_lost)			/* heartbeat stopped */

enum vmc_stat {
#define X(name) VMC_STAT_##name,
	VMC_STATS(X)
#undef X
	VMC_NR_STATS
};

struct vmc_stats {
	u64 count[VMC_NR_STATS];
};
DECLARE_PER_CPU(struct vmc_stats, vmc_stats);

#define vmc_stat_add(name, n) \
	this_cpu_add(vmc_stats.count[VMC_STAT_##name], (n))
#define vmc_stat_inc(name) vmc_stat_add(name, 1)

u64 vmc_stat_read(enum vmc_stat stat);
void vmc_stats_print(struct seq_file *seq);

#endif /* VMC_STATS_H */
