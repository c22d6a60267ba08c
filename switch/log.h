/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_LOG_H
#define VMC_SWITCH_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* In the order of, and with the numbers of, syslog's priorities. */
enum vmc_log_level {
	VMC_LOG_ERROR	= 3,
	VMC_LOG_WARNING	= 4,
	VMC_LOG_NOTICE	= 5,
	VMC_LOG_INFO	= 6,
	VMC_LOG_DEBUG	= 7,
};

/* At most VMC_LOG_BURST lines of one kind each VMC_LOG_PERIOD_MS. */
#define VMC_LOG_BURST		5
#define VMC_LOG_PERIOD_MS	5000

struct vmc_log_limit {
	uint64_t period_began_ms;
	unsigned int nr_lines;
	unsigned int nr_suppressed;
};

void vmc_log_open(void);
int vmc_log_set_level(const char *name);
bool vmc_log_is_on(enum vmc_log_level level);
void vmc_log(enum vmc_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void vmc_log_limited(struct vmc_log_limit *limit, enum vmc_log_level level,
		     const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif /* VMC_SWITCH_LOG_H */
