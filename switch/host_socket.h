/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_HOST_SOCKET_H
#define VMC_SWITCH_HOST_SOCKET_H

#include <stdbool.h>
#include <sys/socket.h>

#include "proto/ring.h"
#include "switch/policy.h"

socklen_t vmc_host_socket_address(const struct vmc_name *name,
				  struct sockaddr_storage *ret_address);
int vmc_host_socket_name(const struct sockaddr_storage *address,
			 struct vmc_name *ret_name);

int vmc_host_socket_dial(const struct vmc_name *target,
			 const struct vmc_carriage *carriage,
			 const struct vmc_name *source);
int vmc_host_socket_bind(const struct vmc_name *name);
int vmc_host_socket_datagram(unsigned int family,
			     const struct vmc_name *source);
void vmc_host_socket_tell_addresses(int fd, unsigned int family);
void vmc_host_socket_set_whole(int fd, unsigned int family, bool is_whole);
int vmc_host_socket_bind_freely(int fd, const struct vmc_name *name);
int vmc_host_socket_ping(uint8_t family);
void vmc_host_socket_set_hop_limit(int fd, uint8_t family, int hop_limit);
void vmc_host_socket_prepare(int fd);
void vmc_host_socket_end_in_order(int fd);
void vmc_host_socket_reset(int fd);
void vmc_host_socket_limit_silence(int fd, unsigned int limit_ms);
int vmc_host_socket_error(int fd);
void vmc_host_socket_set_options(int fd, const struct vmc_options *raw);
void vmc_host_socket_get_figures(int fd, struct vmc_figures *ret_figures);

#endif /* VMC_SWITCH_HOST_SOCKET_H */
