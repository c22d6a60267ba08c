// SPDX-License-Identifier: GPL-2.0-only
/* The table of options, made to be asked. Changes nothing by itself. */
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <linux/seq_file.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "option.h"
#include "option_table.h"

struct option_row {
	u16 level;
	u16 name;
	u8 option;		/* enum vmc_option */
	const char *label;
	const char *told;
};

#define STREAM_ROW(level, name, whom, told, words) \
	{ level, name, VMC_OPTION_##whom, #name, #whom " " #told },
#define DATAGRAM_ROW(level, name, whom, words) \
	{ level, name, VMC_OPTION_##whom, #name, #whom " SAME" },

static const struct option_row stream_rows[] = {
	VMC_STREAM_OPTIONS(STREAM_ROW)
};

static const struct option_row datagram_rows[] = {
	VMC_DATAGRAM_OPTIONS(DATAGRAM_ROW)
};

static enum vmc_option rows_find(const struct option_row *rows,
				 unsigned int nr, int level, int name)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (rows[i].level == level && rows[i].name == name)
			return rows[i].option;
	return VMC_OPTION_UNKNOWN;
}

/**
 * vmc_option_of_stream - what the table says of a stream socket's option
 * @level: unchecked
 * @name: unchecked
 */
enum vmc_option vmc_option_of_stream(int level, int name)
{
	return rows_find(stream_rows, ARRAY_SIZE(stream_rows), level, name);
}

/**
 * vmc_option_of_datagram - what the table says of a datagram socket's option
 * @level: unchecked
 * @name: unchecked
 *
 * Return: VMC_OPTION_UNKNOWN for most: they are UDP's.
 */
enum vmc_option vmc_option_of_datagram(int level, int name)
{
	return rows_find(datagram_rows, ARRAY_SIZE(datagram_rows), level,
			 name);
}

static void rows_print(struct seq_file *seq, const char *kind,
		       const struct option_row *rows, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		seq_printf(seq, "%s %u %u %s %s\n", kind, rows[i].level,
			   rows[i].name, rows[i].label, rows[i].told);
}

/**
 * vmc_option_print - the table: socket, level, option, name, for whom, told
 * @seq: where to
 */
void vmc_option_print(struct seq_file *seq)
{
	rows_print(seq, "stream", stream_rows, ARRAY_SIZE(stream_rows));
	rows_print(seq, "datagram", datagram_rows, ARRAY_SIZE(datagram_rows));
}
