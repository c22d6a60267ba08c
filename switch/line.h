/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_LINE_H
#define VMC_SWITCH_LINE_H

#include <json-c/json.h>
#include <stdint.h>

struct json_object *vmc_line_new(const char *type);
void vmc_line_add_text(struct json_object *line, const char *key,
		       const char *value);
void vmc_line_add_number(struct json_object *line, const char *key,
			 uint64_t value);

#endif /* VMC_SWITCH_LINE_H */
