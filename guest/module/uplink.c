// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is particular about circuits over the uplink: the other end is a TCP
 * socket of the host. It is told the options that the program chose, and asked
 * how it does for TCP_INFO. Both stand in the control pages, see proto/ring.h.
 */
#include <net/tcp.h>
#include "circuit.h"
#include "link.h"
#include "sock.h"
#include "uplink.h"

/**
 * vmc_uplink_publish - tell the host's socket what the program chose
 * @sk: owned, or its spinlock held and nobody owns it
 *
 * Does nothing for other circuits, nor while nothing was ever chosen.
 */
void vmc_uplink_publish(struct sock *sk)
{
	struct vmc_circuit *circuit = vmc_sock_circuit(sk);
	const struct tcp_sock *tcp = tcp_sk(sk);
	struct vmc_options *options;
	u32 bits = 0, timeout_ms;

	if (!circuit || !circuit->link->is_uplink ||
	    READ_ONCE(circuit->link->is_dead))
		return;
	if (tcp->nonagle & TCP_NAGLE_OFF)
		bits |= VMC_OPTION_NODELAY;
	if (sock_flag(sk, SOCK_KEEPOPEN))
		bits |= VMC_OPTION_KEEPALIVE;
	timeout_ms = READ_ONCE(inet_csk(sk)->icsk_user_timeout);
	if (!circuit->options_serial && !bits && !timeout_ms &&
	    !tcp->keepalive_time && !tcp->keepalive_intvl &&
	    !tcp->keepalive_probes)
		return;
	options = &circuit->own->options;
	WRITE_ONCE(options->bits, cpu_to_le32(bits));
	WRITE_ONCE(options->keep_idle_s,
		   cpu_to_le32(READ_ONCE(tcp->keepalive_time) / HZ));
	WRITE_ONCE(options->keep_interval_s,
		   cpu_to_le32(READ_ONCE(tcp->keepalive_intvl) / HZ));
	WRITE_ONCE(options->keep_count,
		   cpu_to_le32(READ_ONCE(tcp->keepalive_probes)));
	WRITE_ONCE(options->user_timeout_ms, cpu_to_le32(timeout_ms));
	smp_store_release(&options->serial,
			  cpu_to_le32(++circuit->options_serial));
	vmc_link_ring(circuit->link, circuit->slot);
}

/**
 * vmc_uplink_has_news - whether a bell tells of figures that came
 * @circuit: under RCU; any
 *
 * Says so once for each answer.
 */
bool vmc_uplink_has_news(struct vmc_circuit *circuit)
{
	u32 raw_serial;

	if (!circuit->link->is_uplink)
		return false;
	raw_serial = le32_to_cpu(READ_ONCE(circuit->peer->figures.serial));
	if (raw_serial == READ_ONCE(circuit->figures_heard))
		return false;
	WRITE_ONCE(circuit->figures_heard, raw_serial);
	return true;
}

/* Ask; 0 if there is nobody to ask. */
static u32 figures_request(struct sock *sk)
{
	struct vmc_circuit *circuit;
	u32 wanted = 0;

	lock_sock(sk);
	circuit = vmc_sock_circuit(sk);
	/* After both ends' FIN the host's socket is gone, after RST too. */
	if (circuit && circuit->link->is_uplink &&
	    !READ_ONCE(circuit->link->is_dead) && sk->sk_state != TCP_CLOSE) {
		if (!++circuit->figures_wanted)
			circuit->figures_wanted = 1;
		wanted = circuit->figures_wanted;
		smp_store_release(&circuit->own->options.figures_wanted,
				  cpu_to_le32(wanted));
		vmc_link_ring(circuit->link, circuit->slot);
	}
	release_sock(sk);
	return wanted;
}

static bool figures_came(struct sock *sk, u32 wanted)
{
	struct vmc_circuit *circuit;
	bool ret;

	rcu_read_lock();
	circuit = rcu_dereference(vmc_sk(sk)->circuit);
	/* An answer to who asked later will do. */
	ret = !circuit || READ_ONCE(sk->sk_err) ||
	      (s32)(le32_to_cpu(smp_load_acquire(
			&circuit->peer->figures.serial)) - wanted) >= 0;
	rcu_read_unlock();
	return ret;
}

/* Whatever stands there is only shown to whoever may connect anyway. */
static void figures_copy(const struct vmc_figures *raw, struct tcp_info *info)
{
	info->tcpi_rtt = le32_to_cpu(READ_ONCE(raw->rtt_us));
	info->tcpi_rttvar = le32_to_cpu(READ_ONCE(raw->rtt_var_us));
	info->tcpi_snd_mss = le32_to_cpu(READ_ONCE(raw->snd_mss));
	info->tcpi_rcv_mss = le32_to_cpu(READ_ONCE(raw->rcv_mss));
	info->tcpi_advmss = le32_to_cpu(READ_ONCE(raw->adv_mss));
	info->tcpi_pmtu = le32_to_cpu(READ_ONCE(raw->path_mtu));
	info->tcpi_snd_cwnd = le32_to_cpu(READ_ONCE(raw->snd_cwnd));
	info->tcpi_snd_ssthresh = le32_to_cpu(READ_ONCE(raw->snd_ssthresh));
	info->tcpi_rto = le32_to_cpu(READ_ONCE(raw->rto_us));
	info->tcpi_unacked = le32_to_cpu(READ_ONCE(raw->unacked));
	info->tcpi_lost = le32_to_cpu(READ_ONCE(raw->lost));
	info->tcpi_retransmits = le32_to_cpu(READ_ONCE(raw->retransmits));
	info->tcpi_total_retrans =
		le32_to_cpu(READ_ONCE(raw->total_retransmits));
	info->tcpi_min_rtt = le32_to_cpu(READ_ONCE(raw->min_rtt_us));
	info->tcpi_reordering = le32_to_cpu(READ_ONCE(raw->reordering));
	info->tcpi_pacing_rate = le64_to_cpu(READ_ONCE(raw->pacing_rate));
	info->tcpi_delivery_rate = le64_to_cpu(READ_ONCE(raw->delivery_rate));
	info->tcpi_bytes_acked = le64_to_cpu(READ_ONCE(raw->bytes_acked));
	info->tcpi_bytes_received =
		le64_to_cpu(READ_ONCE(raw->bytes_received));
}

/**
 * vmc_uplink_ask - ask the host's socket how it does
 * @sk: ours, not owned
 * @info: filled in as far as the host knows better; untouched for other
 *	  circuits, and when the uplink does not answer in time
 *
 * May sleep, VMC_FIGURES_TIMEOUT_MS at most.
 */
void vmc_uplink_ask(struct sock *sk, struct tcp_info *info)
{
	u32 wanted = figures_request(sk);
	struct vmc_circuit *circuit;

	if (!wanted ||
	    wait_event_interruptible_timeout(*sk_sleep(sk),
			figures_came(sk, wanted),
			msecs_to_jiffies(VMC_FIGURES_TIMEOUT_MS)) <= 0)
		return;
	rcu_read_lock();
	circuit = rcu_dereference(vmc_sk(sk)->circuit);
	if (circuit && figures_came(sk, wanted))
		figures_copy(&circuit->peer->figures, info);
	rcu_read_unlock();
}
