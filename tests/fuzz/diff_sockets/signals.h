/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DIFF_SIGNALS_H
#define DIFF_SIGNALS_H

#include <stdbool.h>

void diff_signals_catch(void);
bool diff_signals_agree(bool has_circuits, char *ret_message);

#endif /* DIFF_SIGNALS_H */
