// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One request to the switch and the lines that answer it. Owns the connection
 * while the request lasts. Called by the commands.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/request.h"

#define ANSWER_TIMEOUT_S	10

static void explain(const char *path, int error)
{
	fprintf(stderr, "vmcircuitctl: the switch does not answer on %s: %s\n",
		path, strerror(error));
	if (error == ENOENT || error == ECONNREFUSED)
		fputs("vmcircuitctl: start it (systemctl start vmcircuitd), or name its control socket with --socket\n",
		      stderr);
	else if (error == EACCES || error == EPERM)
		fputs("vmcircuitctl: run as root, or as a user who may use the socket\n",
		      stderr);
}

static int connect_to(const char *path, FILE **ret_stream)
{
	const struct timeval timeout = { ANSWER_TIMEOUT_S, 0 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error, fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		goto close_fd;
	*ret_stream = fdopen(fd, "r+");
	if (*ret_stream)
		return 0;
close_fd:
	error = -errno;
	close(fd);
	return error;
}

static int send_request(FILE *stream, struct json_object *request)
{
	const char *text = json_object_to_json_string_ext(
		request, JSON_C_TO_STRING_PLAIN);

	return fprintf(stream, "%s\n", text) < 0 || fflush(stream) ? -EIO : 0;
}

/* What the lines so far amount to. */
struct answer {
	int status;		/* NO_ANSWER: the last line has not come */
	bool is_denied;
};

#define NO_ANSWER	-1

/* Take one line; false when it was the last. */
static bool take_line(const struct vmc_ctl *ctl, const char *text,
		      vmc_line_fn take, void *owner, struct answer *answer)
{
	struct json_object *line = json_tokener_parse(text);
	const char *type = vmc_line_text(line, "type");
	bool is_last = true;

	if (!strcmp(type, "error")) {
		fprintf(stderr, "vmcircuitctl: %s%s%s\n",
			vmc_line_text(line, "error"), ctl->vm ? ": " : "",
			ctl->vm ? ctl->vm : "");
		answer->status = EXIT_USAGE;
	} else if (!strcmp(type, "end")) {
		answer->status = answer->is_denied ? EXIT_DENIED :
						     EXIT_SUCCESS;
	} else {
		is_last = false;
	}
	if (!strcmp(type, "verdict"))
		answer->is_denied = !strcmp(vmc_line_text(line, "allowed"),
					    "false");
	if (ctl->is_json && answer->status != EXIT_USAGE)
		fputs(text, stdout);
	else if (!is_last)
		take(line, owner);
	json_object_put(line);
	return !is_last;
}

/**
 * vmc_request_send - send a request to the switch and take its answer
 * @ctl: the command line; with is_json the answer is printed as it is
 * @request: what to ask; is freed
 * @take: called for each line but the last
 * @owner: for @take
 *
 * Return: the exit status; a failure is explained on standard error.
 */
int vmc_request_send(const struct vmc_ctl *ctl, struct json_object *request,
		     vmc_line_fn take, void *owner)
{
	struct answer answer = { .status = NO_ANSWER };
	size_t room = 0;
	char *text = NULL;
	FILE *stream;
	int error;

	error = connect_to(ctl->socket, &stream);
	if (error) {
		explain(ctl->socket, -error);
		json_object_put(request);
		return ctl->unreachable;
	}
	error = send_request(stream, request);
	json_object_put(request);
	while (!error && getline(&text, &room, stream) > 0 &&
	       take_line(ctl, text, take, owner, &answer))
		;
	free(text);
	fclose(stream);
	if (answer.status != NO_ANSWER)
		return answer.status;
	explain(ctl->socket, EPIPE);
	return ctl->unreachable;
}

/**
 * vmc_request - ask the switch, perhaps about a VM, and take its answer
 * @ctl: the command line, with the VM
 * @command: what to ask
 * @take: as for vmc_request_send()
 * @owner: for @take
 *
 * Return: as vmc_request_send().
 */
int vmc_request(const struct vmc_ctl *ctl, const char *command,
		vmc_line_fn take, void *owner)
{
	struct json_object *request = json_object_new_object();

	json_object_object_add(request, "command",
			       json_object_new_string(command));
	if (ctl->vm)
		json_object_object_add(request, "vm",
				       json_object_new_string(ctl->vm));
	return vmc_request_send(ctl, request, take, owner);
}

/**
 * vmc_line_text - a member of a line as text
 * @line: a line, or NULL
 * @key: the member
 *
 * Return: its text, which lives as long as the line; "" when there is none.
 */
const char *vmc_line_text(struct json_object *line, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(line, key, &value))
		return "";
	return json_object_get_string(value);
}

/**
 * vmc_line_number - a member of a line as a number
 * @line: a line
 * @key: the member
 *
 * Return: its value, 0 when there is none.
 */
unsigned long long vmc_line_number(struct json_object *line, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(line, key, &value))
		return 0;
	return json_object_get_uint64(value);
}

/**
 * vmc_line_list - a member of a line that is a list, as text
 * @line: a line
 * @key: the member
 * @text: where to; the items with blanks between them, or ""
 * @room: for @text, bytes
 *
 * Return: @text.
 */
const char *vmc_line_list(struct json_object *line, const char *key,
			  char *text, size_t room)
{
	struct json_object *list;
	size_t i, used = 0;

	text[0] = '\0';
	if (!json_object_object_get_ex(line, key, &list))
		return text;
	for (i = 0; i < json_object_array_length(list); i++) {
		snprintf(text + used, room - used, "%s%s", i ? " " : "",
			 json_object_get_string(
				 json_object_array_get_idx(list, i)));
		used = strlen(text);
	}
	return text;
}
