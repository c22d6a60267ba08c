/* SPDX-License-Identifier: MIT */
#ifndef VMC_EXAMPLES_REACH_H
#define VMC_EXAMPLES_REACH_H

struct vmc_connection;
struct vmc_listener;

/* Where connections come in: a socket, or as an endpoint. */
struct place {
	int socket;			/* -1: as an endpoint */
	struct vmc_listener *listener;
};

void be_endpoint(const char *path);
struct vmc_connection *reach(const char *host, const char *port);
struct place wait_at(const char *host, const char *port);
struct vmc_connection *take_next(const struct place *place);
void hang_up(struct vmc_connection *connection);

#endif /* VMC_EXAMPLES_REACH_H */
