// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting without sleeping. An answer that comes soon is there sooner than the
 * notifications that bring it to a sleeper: whoever waits looks for a while, if
 * the processor has nothing else to do, and lets the switch send no interrupts
 * meanwhile. Each processor learns whether that is worth it: when it looked in
 * vain it lets the next waits sleep at once, the more of them the more often
 * that happens.
 */
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/sysctl.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include "event.h"
#include "spin.h"
#include "stats.h"

/*
 * Of two that sleep each sees the other's wake-up, too. So the look that tries
 * whether spinning is worth it again takes longer.
 */
#define PATIENCE	3U

/* So many waits may sleep at once before one spins again. */
#define MOST_PASSED	63U

/* sysctl net.vmcircuit.spin_us: how long to look; 0: never. */
static unsigned int spin_us = 300;
static unsigned int spin_most_us = 1000;
static struct ctl_table_header *sysctl_header;

/* What a processor has learnt. A hint: nothing is lost if it is wrong. */
struct spin_lesson {
	unsigned int pass;	/* waits that sleep at once, from now on */
	unsigned int penalty;	/* of the last look in vain: so many */
};

static DEFINE_PER_CPU(struct spin_lesson, lesson);

static struct ctl_table spin_sysctls[] = {
	{
		.procname	= "spin_us",
		.data		= &spin_us,
		.maxlen		= sizeof(spin_us),
		.mode		= 0644,
		.proc_handler	= proc_douintvec_minmax,
		.extra1		= SYSCTL_ZERO,
		.extra2		= &spin_most_us,
	},
};

/* Whether somebody else could use the processor. */
static bool is_wanted(void)
{
	return need_resched() || !single_task_running() ||
	       signal_pending(current);
}

/**
 * vmc_spin_may - whether a wait that begins is one to spin in
 *
 * To be asked once for each wait; if so vmc_spin() follows.
 */
bool vmc_spin_may(void)
{
	if (!READ_ONCE(spin_us) || is_wanted())
		return false;
	if (!raw_cpu_read(lesson.pass))
		return true;
	raw_cpu_dec(lesson.pass);
	return false;
}

static void learn(bool is_won)
{
	unsigned int penalty = this_cpu_read(lesson.penalty);

	if (is_won) {
		vmc_stat_inc(spins_won);
		this_cpu_write(lesson.penalty, penalty / 2);
		return;
	}
	vmc_stat_inc(spins_lost);
	penalty = min(2 * penalty + 1, MOST_PASSED);
	this_cpu_write(lesson.penalty, penalty);
	this_cpu_write(lesson.pass, penalty);
}

/**
 * vmc_spin - look again and again, for a while
 * @sk: given to @is_over
 * @is_over: whether the wait is; called often, must not sleep
 * @argument: likewise
 *
 * Handles the switch's messages meanwhile, in bottom halves: the caller may own
 * the socket, but hold no spinlock.
 *
 * Return: whether the wait is over.
 */
bool vmc_spin(struct sock *sk, bool (*is_over)(struct sock *sk, u32 argument),
	      u32 argument)
{
	u64 end_ns, limit_ns = (u64)READ_ONCE(spin_us) * NSEC_PER_USEC;
	bool ret = false;

	preempt_disable();
	if (this_cpu_read(lesson.penalty))
		limit_ns *= PATIENCE;
	end_ns = local_clock() + limit_ns;
	vmc_event_mute();
	do {
		vmc_event_take_now();
		ret = is_over(sk, argument);
		cpu_relax();
	} while (!ret && !is_wanted() && local_clock() < end_ns);
	vmc_event_unmute();
	learn(ret);
	preempt_enable();
	return ret;
}

/**
 * vmc_spin_in_call - spin within a call that has come to wait
 * @sk: owned, but not meanwhile
 * @is_over: as for vmc_spin()
 * @argument: likewise
 *
 * Return: 1 if the wait is over, 0 to sleep, -EPIPE if the socket was
 * disconnected meanwhile.
 */
int vmc_spin_in_call(struct sock *sk,
		     bool (*is_over)(struct sock *sk, u32 argument),
		     u32 argument)
{
	int disconnects = sk->sk_disconnects;
	bool ret;

	if (!vmc_spin_may())
		return 0;
	release_sock(sk);
	ret = vmc_spin(sk, is_over, argument);
	lock_sock(sk);
	return disconnects == sk->sk_disconnects ? ret : -EPIPE;
}

/**
 * vmc_spin_init - offer the sysctl
 *
 * Return: 0 or -ENOMEM.
 */
int vmc_spin_init(void)
{
	sysctl_header = register_net_sysctl_sz(&init_net, "net/vmcircuit",
					       spin_sysctls,
					       ARRAY_SIZE(spin_sysctls));
	return sysctl_header ? 0 : -ENOMEM;
}

/**
 * vmc_spin_exit - nobody waits any more
 */
void vmc_spin_exit(void)
{
	unregister_net_sysctl_table(sysctl_header);
}
