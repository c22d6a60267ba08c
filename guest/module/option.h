/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_OPTION_H
#define VMC_OPTION_H

#include <linux/types.h>

struct seq_file;

/* For whom an option is; see option_table.h. */
enum vmc_option {
	VMC_OPTION_UNKNOWN,
	VMC_OPTION_BOTH,
	VMC_OPTION_SHADOW,
	VMC_OPTION_CIRCUIT,
	VMC_OPTION_ABSENT,
	VMC_OPTION_REFUSED,
	VMC_OPTION_NEVER,
	VMC_OPTION_UDP,
};

enum vmc_option vmc_option_of_stream(int level, int name);
enum vmc_option vmc_option_of_datagram(int level, int name);
void vmc_option_print(struct seq_file *seq);

#endif /* VMC_OPTION_H */
