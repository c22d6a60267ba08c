/* SPDX-License-Identifier: MIT */
#ifndef VMC_LIB_LETTER_H
#define VMC_LIB_LETTER_H

#include "proto/wire.h"

/* LINK_UP has the most. */
#define VMC_LETTER_MAX_FDS	3

/* A message from the switch, and the descriptors that came with it. */
struct vmc_letter {
	struct vmc_msg msg;
	int fds[VMC_LETTER_MAX_FDS];	/* -1: none */
};

int vmc_letter_send(int fd, unsigned int type, const void *body);
int vmc_letter_read(int fd, struct vmc_letter *ret_letter);
void vmc_letter_close(struct vmc_letter *letter);

#endif /* VMC_LIB_LETTER_H */
