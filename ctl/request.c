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

static int send_request(FILE *stream, const char *command, const char *vm)
{
	struct json_object *request = json_object_new_object();
	int failed;

	json_object_object_add(request, "command",
			       json_object_new_string(command));
	if (vm)
		json_object_object_add(request, "vm",
				       json_object_new_string(vm));
	failed = fprintf(stream, "%s\n", json_object_to_json_string_ext(
				 request, JSON_C_TO_STRING_PLAIN)) < 0 ||
		 fflush(stream);
	json_object_put(request);
	return failed ? -EIO : 0;
}

/* Take one line; false when it was the last. */
static bool take_line(const struct vmc_ctl *ctl, const char *text,
		      vmc_line_fn take, void *owner, int *status)
{
	struct json_object *line = json_tokener_parse(text);
	const char *type = vmc_line_text(line, "type");
	bool is_last = true;

	if (!strcmp(type, "error")) {
		fprintf(stderr, "vmcircuitctl: %s%s%s\n",
			vmc_line_text(line, "error"), ctl->vm ? ": " : "",
			ctl->vm ? ctl->vm : "");
		*status = EXIT_USAGE;
	} else if (!strcmp(type, "end")) {
		*status = EXIT_SUCCESS;
	} else {
		is_last = false;
	}
	if (ctl->is_json && *status != EXIT_USAGE)
		fputs(text, stdout);
	else if (!is_last)
		take(line, owner);
	json_object_put(line);
	return !is_last;
}

/**
 * vmc_request - ask the switch and take its answer
 * @ctl: the command line; with is_json the answer is printed as it is
 * @command: what to ask
 * @take: called for each line but the last
 * @owner: for @take
 *
 * Return: the exit status; a failure is explained on standard error.
 */
int vmc_request(const struct vmc_ctl *ctl, const char *command,
		vmc_line_fn take, void *owner)
{
	int status = EXIT_UNREACHABLE;
	size_t room = 0;
	char *text = NULL;
	FILE *stream;
	int error;

	error = connect_to(ctl->socket, &stream);
	if (error) {
		explain(ctl->socket, -error);
		return EXIT_UNREACHABLE;
	}
	error = send_request(stream, command, ctl->vm);
	while (!error && getline(&text, &room, stream) > 0 &&
	       take_line(ctl, text, take, owner, &status))
		;
	if (status == EXIT_UNREACHABLE)
		explain(ctl->socket, EPIPE);
	free(text);
	fclose(stream);
	return status;
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
