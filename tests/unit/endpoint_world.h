/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_TESTS_ENDPOINT_WORLD_H
#define VMC_TESTS_ENDPOINT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "lib/vmcircuit.h"

/* Longer than anything takes unless it hangs, ms. */
#define WORLD_TIMEOUT_MS	10000

/* An unprivileged user and its group, in nobody's /etc/passwd. */
#define WORLD_USER		54321U
#define WORLD_GROUP		54322U

/*
 * The endpoints of most tests; of an address's number is the endpoint's name.
 * c is cut off from all.
 */
#define WORLD_A			"10.77.0.100"
#define WORLD_A6		"fd77::100"
#define WORLD_B			"10.77.0.101"
#define WORLD_B6		"fd77::101"
#define WORLD_C			"10.77.0.102"

/* A process of a test's own, which talks to it over a socket. */
struct world_child {
	pid_t pid;
	int socket;
};

void world_init(const char *switch_path);
int world_start(void **state);
int world_stop(void **state);
void world_start_with(const char *sections);
void world_expect_log(const char *words);
void world_kill_switch(int signal);
pid_t world_switch(void);
const char *world_path(const char *name);
uint64_t world_now_ms(void);
unsigned int world_count_fds(pid_t pid);
void world_await_fds(pid_t pid, unsigned int nr);

struct vmc_endpoint *world_open(const char *name);
socklen_t world_name(const char *address, uint16_t port,
		     struct sockaddr_storage *ret_name);
int world_dial(struct vmc_endpoint *endpoint, const char *address,
	       uint16_t port, int timeout_ms,
	       struct vmc_connection **ret_connection);
int world_listen(struct vmc_endpoint *endpoint, const char *address,
		 uint16_t port, struct vmc_listener **ret_listener);
void world_join(struct vmc_endpoint *from, struct vmc_listener *to,
		const char *address, uint16_t port,
		struct vmc_connection *ret_ends[2]);
void world_pair(struct vmc_endpoint *ret_endpoints[2],
		struct vmc_connection *ret_ends[2]);
void world_unpair(struct vmc_endpoint *endpoints[2],
		  struct vmc_connection *ends[2]);

/* Of world_start_pair(): in "a" and in "b". */
extern struct vmc_connection *world_ends[2];
int world_start_pair(void **state);
int world_stop_pair(void **state);

struct world_child world_fork(void (*life)(int socket));
void world_tell(int socket, int word);
int world_hear(int socket);
void world_end_child(struct world_child *child, int signal);

#endif /* VMC_TESTS_ENDPOINT_WORLD_H */
