/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_CTL_TABLE_H
#define VMC_CTL_TABLE_H

#include <stddef.h>

#define VMC_TABLE_MAX_COLUMNS	10

/* Rows of text whose columns are aligned when all are known. */
struct vmc_table {
	const char *const *titles;
	unsigned int nr_columns;
	const char *numbers;	/* one letter a column: 'n' aligns right */
	size_t nr_cells;
	size_t room;
	char **cells;
};

void vmc_table_init(struct vmc_table *table, const char *const *titles,
		    const char *numbers);
void vmc_table_add(struct vmc_table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void vmc_table_print(struct vmc_table *table);
const char *vmc_text_bytes(unsigned long long bytes, char text[16]);
const char *vmc_text_ms(unsigned long long ms, char text[16]);

#endif /* VMC_CTL_TABLE_H */
