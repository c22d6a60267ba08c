/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DIFF_RULES_H
#define DIFF_RULES_H

#include "call.h"

bool diff_rules_is_send(enum diff_kind kind);
bool diff_rules_is_receive(enum diff_kind kind);
bool diff_rules_moves(const struct diff_call *call);
bool diff_rules_may_block(const struct diff_call *call);
bool diff_rules_is_refused(const struct diff_world *world,
			   const struct diff_operation *operation);
bool diff_connect_makes_sense(const struct diff_world *world,
			      const struct diff_operation *operation);
bool diff_rules_makes_sense(const struct diff_world *world,
			    const struct diff_operation *operation);
void diff_rules_prepare(struct diff_world *world,
			const struct diff_operation *operation);
void diff_rules_set_connection(struct diff_world *world, int slot,
			       struct diff_connection *connection);
int diff_rules_other_end(const struct diff_world *world, int slot);

#endif /* DIFF_RULES_H */
