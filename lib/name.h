/* SPDX-License-Identifier: MIT */
#ifndef VMC_LIB_NAME_H
#define VMC_LIB_NAME_H

#include <sys/socket.h>

#include "proto/wire.h"

int vmc_name_from(const struct sockaddr *address, socklen_t bytes,
		  struct vmc_name *ret_name);
void vmc_name_to(const struct vmc_name *name,
		 struct sockaddr_storage *ret_address);

#endif /* VMC_LIB_NAME_H */
