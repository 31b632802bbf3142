/* SPDX-License-Identifier: BSD-3-Clause */
/* Endpoints as text: "tcp://ip:port" and "ipc:///absolute/path", and the sockets behind them.
 */
#ifndef ERSA_WIRE_ENDPOINT_H
#define ERSA_WIRE_ENDPOINT_H

#include <stdbool.h>
#include <sys/socket.h>

#include "ersa/error.h"

struct endpoint {
    struct sockaddr_storage addr;
    socklen_t len;
};

/* "*" as ip: every interface; "*" as port: 0. ERSA_EINVAL. */
int endpoint_parse(struct endpoint *ret, const char *text, bool to_bind,
                   struct ersa_error *err);
/* Writes the address as text; `max` octets with NUL. */
void endpoint_text(const struct endpoint *e, char *out, size_t max);

static inline bool endpoint_is_ipc(const struct endpoint *e)
{
    return e->addr.ss_family == AF_UNIX;
}

/* A listening socket; e gets the address as bound. The descriptor, or ERSA_EEXIST, ERSA_EIO. */
int endpoint_listen(struct endpoint *e, const char *text, struct ersa_error *err);
/* Starts to connect. The descriptor, or ERSA_EIO. */
int endpoint_connect(const struct endpoint *e);
/* The next connection of a listening socket. The descriptor, or -1 and errno of accept(). */
int endpoint_accept(int listener);

#endif
