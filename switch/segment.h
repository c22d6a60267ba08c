/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_SEGMENT_H
#define VMC_SWITCH_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

struct vmc_ctl;

/* A sealed memfd that VMs map, and the part of it that the switch maps. */
struct vmc_segment {
	int fd;			/* -1: none */
	uint8_t *map;		/* the first map_bytes */
	size_t map_bytes;
};

int vmc_segment_create(struct vmc_segment *segment);
int vmc_segment_create_page(struct vmc_segment *segment, uint64_t epoch);
int vmc_segment_create_wake_area(struct vmc_segment *segment);
void vmc_segment_beat(struct vmc_segment *segment);
int vmc_segment_open_reader(const struct vmc_segment *segment);
void vmc_segment_destroy(struct vmc_segment *segment);
const struct vmc_ctl *vmc_segment_ctl(const struct vmc_segment *segment,
				      uint32_t slot);
void vmc_segment_clear_ctl(struct vmc_segment *segment, uint32_t slot);
void vmc_segment_clear_ring(struct vmc_segment *segment, uint64_t offset,
			    uint64_t bytes);

#endif /* VMC_SWITCH_SEGMENT_H */
