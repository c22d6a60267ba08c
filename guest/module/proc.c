// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/net/vmcircuit/ in the first network namespace:
 *
 *   status    lines "key value": the attachment
 *   stats     lines "name value": the counters
 *   circuits  a table with a header: who is connected to whom
 *   options   what becomes of each socket option, see option_table.h
 */
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <net/net_namespace.h>
#include "attach.h"
#include "circuit.h"
#include "link.h"
#include "option.h"
#include "proc.h"
#include "stats.h"

static struct proc_dir_entry *proc_dir;

static int status_show(struct seq_file *seq, void *v)
{
	vmc_attach_print(seq);
	return 0;
}

static int stats_show(struct seq_file *seq, void *v)
{
	vmc_stats_print(seq);
	return 0;
}

/* Under RCU; everything read here is a hint. */
static void circuit_show(struct seq_file *seq, struct vmc_circuit *circuit)
{
	circuit->user->show_names(seq, circuit);
	seq_printf(seq, " %s %s %u %u %u/%u %u/%u %llu %llu\n",
		   vmc_state_name(READ_ONCE(circuit->state)),
		   circuit->link->peer, circuit->link->id, circuit->slot,
		   vmc_circuit_readable_hint(circuit), circuit->rx_bytes,
		   circuit->tx_bytes - vmc_circuit_writable_hint(circuit),
		   circuit->tx_bytes, READ_ONCE(circuit->copied_in),
		   READ_ONCE(circuit->copied_out));
}

static int circuits_show(struct seq_file *seq, void *v)
{
	struct vmc_circuit *circuit;
	struct vmc_link *link;
	unsigned int id, slot;

	seq_puts(seq, "local remote state peer link slot rx_fill/rx_bytes tx_fill/tx_bytes copied_in copied_out\n");
	for (id = 0; id < VMC_MAX_LINKS; id++) {
		link = vmc_link_get(id);
		if (!link)
			continue;
		for (slot = 0; slot < READ_ONCE(link->nr_words) * 64; slot++) {
			rcu_read_lock();
			circuit = vmc_link_circuit(link, slot);
			if (circuit && !circuit->user->is_service)
				circuit_show(seq, circuit);
			rcu_read_unlock();
		}
		vmc_link_put(link);
	}
	return 0;
}

static int options_show(struct seq_file *seq, void *v)
{
	vmc_option_print(seq);
	return 0;
}

/**
 * vmc_proc_create - make the files
 *
 * Return: 0 or -ENOMEM.
 */
int vmc_proc_create(void)
{
	proc_dir = proc_mkdir("vmcircuit", init_net.proc_net);
	if (!proc_dir)
		return -ENOMEM;
	if (!proc_create_single("status", 0444, proc_dir, status_show) ||
	    !proc_create_single("stats", 0444, proc_dir, stats_show) ||
	    !proc_create_single("options", 0444, proc_dir, options_show) ||
	    !proc_create_single("circuits", 0400, proc_dir, circuits_show)) {
		vmc_proc_remove();
		return -ENOMEM;
	}
	return 0;
}

/**
 * vmc_proc_remove - remove the files
 */
void vmc_proc_remove(void)
{
	proc_remove(proc_dir);
}
