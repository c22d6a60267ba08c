/* SPDX-License-Identifier: MIT */
/*
 * Timeouts that several waits share: 0 means not at all, negative for ever.
 * Owns nothing.
 */
#ifndef VMC_LIB_DEADLINE_H
#define VMC_LIB_DEADLINE_H

#include <stdint.h>
#include <time.h>

static inline uint64_t vmc_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* When @timeout_ms is over; any time if it never is. */
static inline uint64_t vmc_deadline_us(int timeout_ms)
{
	if (timeout_ms < 0)
		return 0;
	return vmc_now_us() + (uint64_t)timeout_ms * 1000;
}

/* Milliseconds until @end_us, rounded up; -1 for ever. */
static inline int vmc_deadline_left_ms(uint64_t end_us, int timeout_ms)
{
	uint64_t now;

	if (timeout_ms < 0)
		return -1;
	now = vmc_now_us();
	return now >= end_us ? 0 : (int)((end_us - now + 999) / 1000);
}

#endif /* VMC_LIB_DEADLINE_H */
