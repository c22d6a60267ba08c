/* SPDX-License-Identifier: MIT */
#ifndef VMC_EXAMPLES_DIAL_H
#define VMC_EXAMPLES_DIAL_H

struct addrinfo;
struct vmc_connection;

struct addrinfo *resolve(const char *host, const char *port, int family,
			 int flags);
int dial(const char *host, const char *port);
int listen_at(const char *host, const char *port);
struct vmc_connection *attach(int fd);
const char *carrier(const struct vmc_connection *connection);

#endif /* VMC_EXAMPLES_DIAL_H */
