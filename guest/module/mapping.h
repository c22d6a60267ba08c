/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VMC_MAPPING_H
#define VMC_MAPPING_H

struct file;
struct sock;
struct socket;
struct vm_area_struct;

int vmc_mapping_map(struct file *file, struct socket *sock,
		    struct vm_area_struct *vma);
int vmc_mapping_ioctl(struct sock *sk, unsigned int cmd, unsigned long arg);
void vmc_mapping_lose(struct sock *sk);
void vmc_mapping_run_deferred(struct sock *sk);

#endif /* VMC_MAPPING_H */
