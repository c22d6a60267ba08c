/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What travels between the hypervisor and a vhost-user back-end, as QEMU's
 * docs/interop/vhost-user.rst defines it, as far as the switch speaks it.
 * All in the host's byte order.
 */
#ifndef VMC_SWITCH_VHOST_USER_WIRE_H
#define VMC_SWITCH_VHOST_USER_WIRE_H

#include <stdint.h>

enum {
	VHOST_USER_GET_FEATURES		= 1,
	VHOST_USER_SET_FEATURES		= 2,
	VHOST_USER_SET_OWNER		= 3,
	VHOST_USER_RESET_OWNER		= 4,
	VHOST_USER_SET_MEM_TABLE	= 5,
	VHOST_USER_SET_VRING_NUM	= 8,
	VHOST_USER_SET_VRING_ADDR	= 9,
	VHOST_USER_SET_VRING_BASE	= 10,
	VHOST_USER_GET_VRING_BASE	= 11,
	VHOST_USER_SET_VRING_KICK	= 12,
	VHOST_USER_SET_VRING_CALL	= 13,
	VHOST_USER_SET_VRING_ERR	= 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM	= 17,
	VHOST_USER_SET_VRING_ENABLE	= 18,
	VHOST_USER_SET_BACKEND_REQ_FD	= 21,
	VHOST_USER_GET_CONFIG		= 24,
	VHOST_USER_SET_CONFIG		= 25,
	VHOST_USER_RESET_DEVICE		= 34,
	VHOST_USER_GET_MAX_MEM_SLOTS	= 36,
	VHOST_USER_ADD_MEM_REG		= 37,
	VHOST_USER_REM_MEM_REG		= 38,
	VHOST_USER_GET_SHMEM_CONFIG	= 44,
};

/* Requests of the back-end. */
enum {
	VHOST_USER_BACKEND_SHMEM_MAP	= 9,
	VHOST_USER_BACKEND_SHMEM_UNMAP	= 10,
};

/* Feature and protocol feature bits. */
#define VHOST_USER_F_PROTOCOL_FEATURES		30
#define VHOST_USER_PROTOCOL_F_MQ		0
#define VHOST_USER_PROTOCOL_F_REPLY_ACK		3
#define VHOST_USER_PROTOCOL_F_BACKEND_REQ	5
#define VHOST_USER_PROTOCOL_F_CONFIG		9
#define VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD	10
#define VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS 15
#define VHOST_USER_PROTOCOL_F_SHMEM		22

/* Flags of a header. */
#define VHOST_USER_VERSION_MASK		0x3U
#define VHOST_USER_VERSION		0x1U
#define VHOST_USER_REPLY		0x4U
#define VHOST_USER_NEED_REPLY		0x8U

/* In the u64 of the SET_VRING_ messages that carry a descriptor. */
#define VHOST_USER_VRING_IDX_MASK	0xffU
#define VHOST_USER_VRING_NOFD		0x100U

#define VHOST_USER_MAX_FDS		8
#define VHOST_USER_MAX_TABLE_REGIONS	8
#define VHOST_USER_MAX_CONFIG_BYTES	256
#define VHOST_USER_NR_SHMEM		256
#define VHOST_USER_SHMEM_WRITABLE	1U

struct vhost_user_header {
	uint32_t request;
	uint32_t flags;
	uint32_t bytes;		/* of the body */
};

struct vhost_user_vring_state {
	uint32_t index;
	uint32_t num;
};

struct vhost_user_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

struct vhost_user_region {
	uint64_t guest;
	uint64_t bytes;
	uint64_t user;
	uint64_t fd_offset;
};

struct vhost_user_mem_table {
	uint32_t nr_regions;
	uint32_t pad;
	struct vhost_user_region regions[VHOST_USER_MAX_TABLE_REGIONS];
};

struct vhost_user_mem_reg {
	uint64_t pad;
	struct vhost_user_region region;
};

struct vhost_user_config {
	uint32_t offset;
	uint32_t bytes;
	uint32_t flags;
	uint8_t raw[VHOST_USER_MAX_CONFIG_BYTES];
};

struct vhost_user_shmem_config {
	uint32_t nr_regions;
	uint32_t pad;
	uint64_t bytes[VHOST_USER_NR_SHMEM];
};

struct vhost_user_shmem_map {
	uint8_t shmid;
	uint8_t pad[7];
	uint64_t fd_offset;
	uint64_t shm_offset;
	uint64_t bytes;
	uint64_t flags;
};

/* The longest body that the switch receives. */
union vhost_user_body {
	uint64_t u64;
	struct vhost_user_vring_state state;
	struct vhost_user_vring_addr addr;
	struct vhost_user_mem_table table;
	struct vhost_user_mem_reg mem_reg;
	struct vhost_user_config config;
};

_Static_assert(sizeof(struct vhost_user_header) == 12, "header");
_Static_assert(sizeof(struct vhost_user_vring_addr) == 40, "vring addr");
_Static_assert(sizeof(struct vhost_user_mem_reg) == 40, "mem reg");
_Static_assert(sizeof(struct vhost_user_shmem_map) == 40, "shmem map");
_Static_assert(sizeof(struct vhost_user_shmem_config) == 2056, "shmem config");

#endif /* VMC_SWITCH_VHOST_USER_WIRE_H */
