/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DIFF_GENERATE_H
#define DIFF_GENERATE_H

#include "sequence.h"

void diff_generate(uint64_t seed, struct diff_sequence *ret_sequence);

#endif /* DIFF_GENERATE_H */
