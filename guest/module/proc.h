/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_PROC_H
#define VMC_PROC_H

int vmc_proc_create(void);
void vmc_proc_remove(void);

#endif /* VMC_PROC_H */
