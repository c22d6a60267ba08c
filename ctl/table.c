// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tables for people: columns aligned, titles bold on a terminal. Owns the
 * cells until the table is printed. Called by the commands.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/table.h"

/**
 * vmc_table_init - begin a table
 * @table: the table
 * @titles: of the columns
 * @numbers: one letter a column, 'n' for numbers, '-' for text
 */
void vmc_table_init(struct vmc_table *table, const char *const *titles,
		    const char *numbers)
{
	*table = (struct vmc_table){
		.titles = titles,
		.numbers = numbers,
		.nr_columns = (unsigned int)strlen(numbers),
	};
}

/**
 * vmc_table_add - add the next cell, row by row
 * @table: the table
 * @format: printf's
 */
void vmc_table_add(struct vmc_table *table, const char *format, ...)
{
	char **cells = table->cells;
	va_list args;
	char *cell;

	if (table->nr_cells == table->room) {
		table->room = table->room ? 2 * table->room : 64;
		cells = realloc(cells, table->room * sizeof(*cells));
	}
	va_start(args, format);
	if (!cells || vasprintf(&cell, format, args) < 0) {
		fputs("vmcircuitctl: out of memory\n", stderr);
		exit(EXIT_FAILURE);
	}
	va_end(args);
	table->cells = cells;
	table->cells[table->nr_cells++] = cell;
}

static void print_row(const struct vmc_table *table, const char *const *cells,
		      const size_t *widths)
{
	unsigned int i;
	int width;

	for (i = 0; i < table->nr_columns; i++) {
		width = (int)widths[i];
		if (table->numbers[i] != 'n')
			width = i + 1 < table->nr_columns ? -width : 0;
		printf("%s%*s", i ? "  " : "", width, cells[i]);
	}
}

/**
 * vmc_table_print - print the table and free it
 * @table: the table; nothing is printed when it has no rows
 */
void vmc_table_print(struct vmc_table *table)
{
	size_t widths[VMC_TABLE_MAX_COLUMNS] = { 0 };
	int is_terminal = isatty(STDOUT_FILENO);
	unsigned int nr = table->nr_columns;
	size_t i, bytes;

	for (i = 0; i < nr; i++)
		widths[i] = strlen(table->titles[i]);
	for (i = 0; i < table->nr_cells; i++) {
		bytes = strlen(table->cells[i]);
		if (bytes > widths[i % nr])
			widths[i % nr] = bytes;
	}
	if (table->nr_cells) {
		fputs(is_terminal ? "\033[1m" : "", stdout);
		print_row(table, table->titles, widths);
		puts(is_terminal ? "\033[0m" : "");
	}
	for (i = 0; i < table->nr_cells; i += nr) {
		print_row(table, (const char *const *)table->cells + i,
			  widths);
		putchar('\n');
	}
	for (i = 0; i < table->nr_cells; i++)
		free(table->cells[i]);
	free(table->cells);
}

/**
 * vmc_text_bytes - a size with its unit
 * @bytes: the size
 * @text: where to
 *
 * Return: @text.
 */
const char *vmc_text_bytes(unsigned long long bytes, char text[16])
{
	static const char * const units[] = { "B", "KiB", "MiB", "GiB" };
	unsigned int unit = 0;

	while (unit < 3 && bytes >= 1024 && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	while (unit < 3 && bytes >= 10240) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, 16, "%llu %s", bytes, units[unit]);
	return text;
}

/**
 * vmc_text_ms - a duration with its unit
 * @ms: milliseconds
 * @text: where to
 *
 * Return: @text.
 */
const char *vmc_text_ms(unsigned long long ms, char text[16])
{
	unsigned long long s = ms / 1000;

	if (ms < 1000)
		snprintf(text, 16, "%llu ms", ms);
	else if (s < 100)
		snprintf(text, 16, "%llu.%llu s", s, ms % 1000 / 100);
	else if (s < 6000)
		snprintf(text, 16, "%llu min", s / 60);
	else if (s < 360000)
		snprintf(text, 16, "%llu h", s / 3600);
	else
		snprintf(text, 16, "%llu d", s / 86400);
	return text;
}
