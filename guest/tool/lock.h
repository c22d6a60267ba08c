/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_TOOL_LOCK_H
#define VMC_TOOL_LOCK_H

int vmc_lock_take(void);

#endif /* VMC_TOOL_LOCK_H */
