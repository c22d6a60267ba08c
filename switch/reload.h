/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_RELOAD_H
#define VMC_SWITCH_RELOAD_H

#include "switch/broker.h"

int vmc_reload(struct vmc_broker *broker,
	       char ret_text[VMC_COMPLAINT_BYTES]);

#endif /* VMC_SWITCH_RELOAD_H */
