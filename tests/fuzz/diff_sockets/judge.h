/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DIFF_JUDGE_H
#define DIFF_JUDGE_H

#include "call.h"

#define DIFF_MESSAGE_BYTES	512

bool diff_judge_calls(struct diff_call *calls, char *ret_message);
bool diff_judge_rest(struct diff_world *world, bool with_masks,
		     char *ret_message);

#endif /* DIFF_JUDGE_H */
