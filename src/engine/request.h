/* SPDX-License-Identifier: BSD-3-Clause */
/* A request as the engine sees it: where it came from, its parts, the few fields that the
 * engine reads. Everything points into the message; one that has to wait is copied with its
 * message. */
#ifndef ERSA_ENGINE_REQUEST_H
#define ERSA_ENGINE_REQUEST_H

#include "engine/channels.h"
#include "util/list.h"
#include "wire/jscan.h"
#include "wire/session.h"

/* Fields of a request's metadata that matter: those before META_COPIED are copied into the
 * reply as they stand. */
enum meta {
    META_LABEL,
    META_BROADCAST,
    META_COALESCING,
    META_ORIGINAL,
    META_COPIED,
    META_ERSA = META_COPIED,
    META_MAX
};

struct request_def; /* dispatch.h */

struct request {
    struct list link;   /* queue.c */
    struct held *held;  /* owned: the message below; NULL while it is the caller's */
    struct parts parts; /* parts.idents[0] is the route (channels.h) */
    enum channel channel;
    struct slice msg_id, msg_type; /* decoded */
    char *decoded; /* owned: where msg_id and msg_type are if they had escapes */
    struct jfield meta[META_MAX];
    const struct request_def *def; /* dispatch.c; NULL: a type that nobody knows */
    int64_t arrived_ns;
    int64_t started_us;
    bool is_answered; /* the runtime's reply is not sent on */
    bool is_quiet;    /* its client asked for quiet_status */
    unsigned published;
};

/* Reads the fields; `frames` (frames[0] the route) stay the caller's and must outlive *ret.
 * ERSA_EPROTO: not split into parts; ERSA_EPARSE: header or metadata are not what they should
 * be; ERSA_ENOMEM. On success request_fini() is due. */
int request_read(struct request *ret, enum channel channel, const struct frame *frames,
                 unsigned n);
void request_fini(struct request *r);

/* A copy that owns its message, NULL when out of memory. */
struct request *request_hold(const struct request *r);
void request_free(struct request *r); /* accepts NULL */

/* All octets that a held request keeps alive. */
size_t request_bytes(const struct request *r);

#endif
