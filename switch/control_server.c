// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The control socket: clients send requests of one line, and get lines back.
 * Owns the sockets and the clients. A client is not trusted: its line, its
 * number and its patience are limited, and the answer is made as fast as it
 * reads, a buffer at a time. Called by main.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "switch/control_reply.h"
#include "switch/control_server.h"
#include "switch/unix_socket.h"

#define MAX_CLIENTS		16
#define LINE_BYTES		1024
#define OUTPUT_BYTES		16384
/* No line of an answer is longer: see VMC_RULE_MAX_ITEMS. */
#define LINE_MAX_BYTES		8192
/* A client that takes nothing for so long is dropped, ms. */
#define CLIENT_TIMEOUT_MS	10000
#define CLIENT_LOOK_MS		1000

struct client {
	struct vmc_watch watch;		/* fd is -1: not in use */
	struct vmc_control_server *server;
	bool is_answering;
	struct vmc_control_reply reply;
	uint64_t active_ms;		/* when it last read or wrote */
	size_t input_bytes;
	char input[LINE_BYTES];
	size_t output_begin;
	size_t output_end;
	char output[OUTPUT_BYTES];
};

struct vmc_control_server {
	struct vmc_broker *broker;
	struct vmc_watch listener;
	struct vmc_watch timer;
	struct client clients[MAX_CLIENTS];
};

static void drop_client(struct client *client)
{
	vmc_loop_close(client->server->broker->loop, &client->watch);
}

/* Append a line, which fits: see LINE_MAX_BYTES. */
static void put_line(struct client *client, struct json_object *line)
{
	size_t bytes;
	const char *text = json_object_to_json_string_length(
		line, JSON_C_TO_STRING_PLAIN |
		JSON_C_TO_STRING_NOSLASHESCAPE, &bytes);

	memcpy(client->output + client->output_end, text, bytes);
	client->output_end += bytes;
	client->output[client->output_end++] = '\n';
}

static void fill_output(struct client *client)
{
	struct json_object *line;

	while (client->is_answering &&
	       OUTPUT_BYTES - client->output_end >= LINE_MAX_BYTES) {
		line = vmc_control_next(client->server->broker,
					&client->reply);
		put_line(client, line);
		json_object_put(line);
		client->is_answering = !client->reply.is_over;
	}
}

static void complain(struct client *client, const char *complaint)
{
	struct json_object *line = json_object_new_object();

	json_object_object_add(line, "type", json_object_new_string("error"));
	json_object_object_add(line, "error",
			       json_object_new_string(complaint));
	put_line(client, line);
	json_object_put(line);
}

/* Understand the first whole line of the input, if there is one. */
static void take_line(struct client *client)
{
	char *end = memchr(client->input, '\n', client->input_bytes);
	const char *complaint;
	size_t bytes;

	if (!end)
		return;
	bytes = (size_t)(end - client->input);
	if (vmc_control_parse(client->server->broker, client->input, bytes,
			      &client->reply, &complaint))
		complain(client, complaint);
	else
		client->is_answering = true;
	client->input_bytes -= bytes + 1;
	memmove(client->input, end + 1, client->input_bytes);
}

static int send_output(struct client *client)
{
	ssize_t done;

	done = send(client->watch.fd, client->output + client->output_begin,
		    client->output_end - client->output_begin,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (done < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	client->active_ms = vmc_loop_now_ms();
	client->output_begin += (size_t)done;
	if (client->output_begin == client->output_end) {
		client->output_begin = 0;
		client->output_end = 0;
	}
	return 0;
}

static int receive_input(struct client *client)
{
	ssize_t done;

	if (client->input_bytes == LINE_BYTES)
		return -EMSGSIZE;
	done = recv(client->watch.fd, client->input + client->input_bytes,
		    LINE_BYTES - client->input_bytes, MSG_DONTWAIT);
	if (done < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!done)
		return -EPIPE;
	client->active_ms = vmc_loop_now_ms();
	client->input_bytes += (size_t)done;
	return 0;
}

/*
 * One buffer a turn. The next request is looked at when the answer to the
 * last one is out.
 */
static void client_ready(struct vmc_watch *watch, uint32_t events)
{
	struct client *client = vmc_container_of(watch, struct client, watch);
	int error = 0;

	if (events & (EPOLLERR | EPOLLHUP))
		error = -EPIPE;
	if (!error && events & EPOLLIN)
		error = receive_input(client);
	if (!error && !client->is_answering && !client->output_end)
		take_line(client);
	if (!error && !client->output_end)
		fill_output(client);
	if (!error && client->output_end)
		error = send_output(client);
	if (error) {
		drop_client(client);
		return;
	}
	vmc_loop_change(client->server->broker->loop, watch,
			client->is_answering || client->output_end ||
			memchr(client->input, '\n', client->input_bytes) ?
			EPOLLOUT : EPOLLIN);
}

static void listener_ready(struct vmc_watch *watch, uint32_t events)
{
	struct vmc_control_server *server =
		vmc_container_of(watch, struct vmc_control_server, listener);
	int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *client = server->clients;

	(void)events;
	if (fd < 0)
		return;
	while (client < server->clients + MAX_CLIENTS && client->watch.fd >= 0)
		client++;
	if (client == server->clients + MAX_CLIENTS) {
		close(fd);
		return;
	}
	*client = (struct client){
		.watch = { fd, client_ready },
		.server = server,
		.active_ms = vmc_loop_now_ms(),
	};
	if (vmc_loop_add(server->broker->loop, &client->watch, EPOLLIN)) {
		client->watch.fd = -1;
		close(fd);
	}
}

static void timer_ready(struct vmc_watch *watch, uint32_t events)
{
	struct vmc_control_server *server =
		vmc_container_of(watch, struct vmc_control_server, timer);
	uint64_t now_ms = vmc_loop_now_ms();
	struct client *client;
	uint64_t count;
	int i;

	(void)events;
	if (read(watch->fd, &count, sizeof(count)) < 0)
		return;
	for (i = 0; i < MAX_CLIENTS; i++) {
		client = &server->clients[i];
		if (client->watch.fd >= 0 &&
		    now_ms - client->active_ms >= CLIENT_TIMEOUT_MS)
			drop_client(client);
	}
}

static int open_socket(const struct vmc_config *config, int *ret_fd)
{
	const struct vmc_socket_rights rights = {
		.owner = (uid_t)-1,
		.group = (gid_t)-1,
		.mode = config->vm_sockets.mode,
	};
	int error = vmc_unix_socket_listen(config->control, SOCK_STREAM,
					   &rights, ret_fd);

	if (error)
		vmc_log(VMC_LOG_ERROR, "cannot listen on \"%s\": %s",
			config->control, strerror(-error));
	return error;
}

/**
 * vmc_control_server_create - serve the control socket
 * @broker: the switch; outlives the server
 * @ret_server: the server
 *
 * Return: 0, -ENOMEM, or the error of the socket or the timer.
 */
int vmc_control_server_create(struct vmc_broker *broker,
			      struct vmc_control_server **ret_server)
{
	struct vmc_control_server *server = calloc(1, sizeof(*server));
	int i, error;

	if (!server)
		return -ENOMEM;
	server->broker = broker;
	server->listener = (struct vmc_watch){ -1, listener_ready };
	server->timer = (struct vmc_watch){ -1, timer_ready };
	for (i = 0; i < MAX_CLIENTS; i++) {
		server->clients[i].watch.fd = -1;
		server->clients[i].server = server;
	}
	error = open_socket(broker->table.config, &server->listener.fd);
	if (!error)
		error = vmc_loop_add(broker->loop, &server->listener, EPOLLIN);
	if (!error)
		error = vmc_loop_add_timer(broker->loop, &server->timer,
					   CLIENT_LOOK_MS);
	if (error) {
		vmc_control_server_destroy(server);
		return error;
	}
	*ret_server = server;
	return 0;
}

/**
 * vmc_control_server_destroy - drop the clients and remove the socket
 * @server: the server
 */
void vmc_control_server_destroy(struct vmc_control_server *server)
{
	int i;

	for (i = 0; i < MAX_CLIENTS; i++)
		drop_client(&server->clients[i]);
	if (server->listener.fd >= 0)
		unlink(server->broker->table.config->control);
	vmc_loop_close(server->broker->loop, &server->listener);
	vmc_loop_close(server->broker->loop, &server->timer);
	free(server);
}
