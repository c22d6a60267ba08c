/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_DROPS_H
#define VMC_SWITCH_DROPS_H

#include <stdint.h>

struct vmc_link;
struct vmc_vm;

/* Datagrams of a VM that reached nobody, as its guest says. */
struct vmc_drops {
	uint64_t unsent;	/* given up: the peer's ring stayed full */
	uint64_t refused;	/* came, and were not for the socket */
};

/* What the uplink dropped, by reason. */
struct vmc_uplink_drops {
	uint64_t no_room;	/* from outside: the guest's ring is full */
	uint64_t unwanted;	/* from outside: of whom no flow is */
	uint64_t undeliverable;	/* to the outside: the host cannot send it */
	uint64_t too_large;	/* to the outside: for its path, and whole */
};

void vmc_drops_keep(const struct vmc_link *link, uint32_t slot);
struct vmc_drops vmc_drops_of(const struct vmc_vm *vm);

#endif /* VMC_SWITCH_DROPS_H */
