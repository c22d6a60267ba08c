/* SPDX-License-Identifier: MIT */
/*
 * How user space touches what it shares with a VM: little-endian fields, each
 * loaded once with acquire, stored with release, and the full barrier. Owns
 * nothing. Included by bell.c and end.c.
 */
#ifndef VMC_LIB_SHARED_H
#define VMC_LIB_SHARED_H

#include <endian.h>
#include <stdint.h>

#include <linux/types.h>

static inline uint32_t vmc_shared_load32(const __le32 *field)
{
	return le32toh(__atomic_load_n(field, __ATOMIC_ACQUIRE));
}

static inline uint64_t vmc_shared_load64(const __le64 *field)
{
	return le64toh(__atomic_load_n(field, __ATOMIC_ACQUIRE));
}

static inline void vmc_shared_store32(__le32 *field, uint32_t value)
{
	__atomic_store_n(field, htole32(value), __ATOMIC_RELEASE);
}

static inline void vmc_shared_store64(__le64 *field, uint64_t value)
{
	__atomic_store_n(field, htole64(value), __ATOMIC_RELEASE);
}

/* As smp_mb() of the other side, which may be a kernel. */
static inline void vmc_shared_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif /* VMC_LIB_SHARED_H */
