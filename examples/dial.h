/* SPDX-License-Identifier: MIT */
#ifndef VMC_EXAMPLES_DIAL_H
#define VMC_EXAMPLES_DIAL_H

int dial(const char *host, const char *port);
int listen_at(const char *host, const char *port);

#endif /* VMC_EXAMPLES_DIAL_H */
