// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's counters, one set for each CPU. Everyone counts; only proc.c
 * reads.
 */
#include <linux/seq_file.h>
#include "stats.h"

DEFINE_PER_CPU(struct vmc_stats, vmc_stats);

static const char * const stat_names[] = {
#define X(name) #name,
	VMC_STATS(X)
#undef X
};

/**
 * vmc_stat_read - the sum of one counter over all CPUs
 * @stat: which
 */
u64 vmc_stat_read(enum vmc_stat stat)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(vmc_stats, cpu).count[stat]);
	return sum;
}

/**
 * vmc_stats_print - one line "name value" for each counter
 * @seq: where to
 */
void vmc_stats_print(struct seq_file *seq)
{
	int i;

	seq_printf(seq, "circuits_open %llu\n",
		   vmc_stat_read(VMC_STAT_circuits_connected) +
		   vmc_stat_read(VMC_STAT_circuits_accepted) -
		   vmc_stat_read(VMC_STAT_circuits_closed));
	for (i = 0; i < VMC_NR_STATS; i++)
		seq_printf(seq, "%s %llu\n", stat_names[i], vmc_stat_read(i));
}
