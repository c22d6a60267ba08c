/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_SAVE_H
#define VMC_SWITCH_SAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "switch/guest_memory.h"
#include "switch/virtqueue.h"
#include "switch/window.h"

/* RAM and every stride of the window. */
#define VMC_SAVED_REGIONS	(VMC_MAX_MEMORY_REGIONS + VMC_WINDOW_STRIDES)

struct vmc_saved_region {
	struct vmc_memory_place place;	/* bytes 0: no region, only its file */
	uint64_t device;	/* of the file, to tell it from others */
	uint64_t inode;		/* 0: not used */
};

struct vmc_saved_queue {
	uint32_t nr_entries;
	uint8_t has_place;
	uint8_t is_enabled;
	uint8_t pad[2];
	struct vmc_virtqueue_place place;
};

/* What is not a descriptor; shared memory, so a crash cannot lose it. */
struct vmc_saved {
	uint64_t magic;
	uint64_t features;
	uint64_t protocol_features;
	uint32_t is_busy;	/* a message of the hypervisor is handled */
	uint32_t is_asked;	/* an answer is due on the window's channel */
	struct vmc_saved_queue queues[VMC_NR_QUEUES];
	struct vmc_saved_region regions[VMC_SAVED_REGIONS];
};

/* One VM's part of the file descriptor store. */
struct vmc_save {
	const char *vm;		/* its name, outlives this */
	struct vmc_saved *saved;	/* NULL: nobody keeps anything for us */
};

void vmc_save_collect(void);
bool vmc_save_is_any(void);
void vmc_save_discard_rest(void);
void vmc_save_freeze(void);
int vmc_save_take(const char *vm, const char *what, unsigned int nr);
void vmc_save_begin(struct vmc_save *save, const char *vm);
int vmc_save_resume(struct vmc_save *save, const char *vm);
void vmc_save_end(struct vmc_save *save);
void vmc_save_put(struct vmc_save *save, const char *what, unsigned int nr,
		  int fd);
void vmc_save_drop(struct vmc_save *save, const char *what, unsigned int nr);
void vmc_save_add_region(struct vmc_save *save,
			 const struct vmc_memory_place *place, int fd);
void vmc_save_remove_region(struct vmc_save *save,
			    const struct vmc_memory_place *place);
void vmc_save_clear_regions(struct vmc_save *save);

#endif /* VMC_SWITCH_SAVE_H */
