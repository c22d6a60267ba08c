// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A line of an answer on the control socket: one JSON object with a type. The
 * caller owns it. Called by control_reply.c and control_policy.c.
 */
#include "switch/line.h"

/**
 * vmc_line_new - begin a line
 * @type: what it tells of
 *
 * Return: the line; freed with json_object_put().
 */
struct json_object *vmc_line_new(const char *type)
{
	struct json_object *line = json_object_new_object();

	vmc_line_add_text(line, "type", type);
	return line;
}

/**
 * vmc_line_add_text - add a member
 * @line: the line
 * @key: its name
 * @value: copied
 */
void vmc_line_add_text(struct json_object *line, const char *key,
		       const char *value)
{
	json_object_object_add(line, key, json_object_new_string(value));
}

/**
 * vmc_line_add_number - add a member
 * @line: the line
 * @key: its name
 * @value: its value
 */
void vmc_line_add_number(struct json_object *line, const char *key,
			 uint64_t value)
{
	json_object_object_add(line, key, json_object_new_uint64(value));
}
