/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_INET_H
#define VMC_INET_H

int vmc_inet_register(void);
void vmc_inet_unregister(void);

#endif /* VMC_INET_H */
