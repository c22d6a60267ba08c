/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DIFF_DATAGRAM_H
#define DIFF_DATAGRAM_H

#include "call.h"

void diff_call_datagram(struct diff_call *call);
void diff_datagram_drain(struct diff_call *call);
int diff_datagram_digest(const unsigned char *data, size_t bytes);
int diff_datagram_sender(const struct diff_call *call, const void *name,
			 socklen_t bytes);

bool diff_datagram_makes_sense(const struct diff_world *world,
			       const struct diff_operation *operation);
void diff_datagram_prepare(struct diff_world *world,
			   const struct diff_operation *operation);

#endif /* DIFF_DATAGRAM_H */
