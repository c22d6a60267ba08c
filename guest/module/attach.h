/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_ATTACH_H
#define VMC_ATTACH_H

#include <linux/types.h>
#include "../../proto/wire.h"

struct seq_file;

void vmc_attach_init(void (*lost)(void), void (*found)(void));
void vmc_attach_exit(void);
u32 vmc_attach_generation(void);
bool vmc_attach_has(u64 feature);
void vmc_attach_hold(void);
void vmc_attach_drop(void);
void vmc_attach_begin(u64 epoch);
void vmc_attach_hello(void);
int vmc_attach_welcome(const struct vmc_welcome *welcome);
void vmc_attach_gone(void);
void vmc_attach_print(struct seq_file *seq);

#endif /* VMC_ATTACH_H */
