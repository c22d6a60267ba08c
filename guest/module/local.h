/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_LOCAL_H
#define VMC_LOCAL_H

int vmc_local_init(void);
void vmc_local_exit(void);

#endif /* VMC_LOCAL_H */
