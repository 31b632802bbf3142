/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the direct routes: direct.c (relays), direct_waiting.c (requests that wait for
 * an engine's connection), direct_answer.c (what is answered in an engine's place). */
#ifndef ERSA_ROUTER_DIRECT_IMPL_H
#define ERSA_ROUTER_DIRECT_IMPL_H

#include "router/link.h"
#include "router/ports.h"

#define ID_MAX 512 /* octets of a message id or type */

/* The two fields of a header that a relay looks at; each in `buf` or in the header. */
struct head {
    struct slice msg_id, msg_type;
    char buf[2][ID_MAX];
};

/* direct_answer.c */

/* False: there are no such fields. */
bool direct_read_head(struct slice header, struct head *ret);
/* Where the clients of that channel are. */
enum route direct_client_route(enum channel ch);
/* The request with that header was not sent: its client gets an EngineError. */
void direct_refuse(struct router *r, struct slice uuid, enum channel ch, struct slice client,
                   struct slice header);

#endif
