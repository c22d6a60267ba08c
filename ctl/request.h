/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_CTL_REQUEST_H
#define VMC_CTL_REQUEST_H

#include "ctl/command.h"

/* Called for each line of an answer. */
typedef void (*vmc_line_fn)(struct json_object *line, void *owner);

int vmc_request(const struct vmc_ctl *ctl, const char *command,
		vmc_line_fn take, void *owner);
int vmc_request_send(const struct vmc_ctl *ctl, struct json_object *request,
		     vmc_line_fn take, void *owner);
const char *vmc_line_text(struct json_object *line, const char *key);
unsigned long long vmc_line_number(struct json_object *line, const char *key);
const char *vmc_line_list(struct json_object *line, const char *key,
			  char *text, size_t room);

#endif /* VMC_CTL_REQUEST_H */
