/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_EXPLAIN_H
#define VMC_SWITCH_EXPLAIN_H

#include "switch/connect.h"

/* What would become of a connection. */
struct vmc_explanation {
	struct vmc_policy_verdict verdict;
	struct vmc_name target;		/* outbound: what the host would dial */
	/* Inbound: the publish line that leads there; NULL: none does. */
	const char *published;
};

struct vmc_explanation vmc_explain(const struct vmc_vm_table *table,
				   const struct vmc_policy_query *query);

#endif /* VMC_SWITCH_EXPLAIN_H */
