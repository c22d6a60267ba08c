/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_TRANSPORT_H
#define VMC_SWITCH_TRANSPORT_H

#include <stdbool.h>

int vmc_transport_check_congestion(const char *name, bool is_privileged);
int vmc_transport_check_mptcp(void);

#endif /* VMC_SWITCH_TRANSPORT_H */
