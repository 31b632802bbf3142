/* SPDX-License-Identifier: BSD-3-Clause */
/* Broadcasts: one request for many engines (schedulers.md C). The tree of the reference is one
 * step here, whatever its depth. What a client did not ask to coalesce leaves no state behind:
 * each reply finds its way by its envelope. It knows neither sockets nor registration, and
 * speaks through `struct broadcast_ops`. One thread, the router's. */
#ifndef ERSA_ROUTER_SCHED_BROADCAST_H
#define ERSA_ROUTER_SCHED_BROADCAST_H

#include "router/engine.h"
#include "wire/session.h"

struct broadcast;

enum broadcast_event {
    BROADCAST_SENT,     /* a request that will be answered goes to the engine */
    BROADCAST_ANSWERED, /* by the engine */
    BROADCAST_FAILED,   /* it did not get there */
};

struct broadcast_ops {
    /* The registered engine of that uuid; NULL: none. */
    struct engine *(*find)(void *ctx, struct slice uuid);
    /* Frames behind the engine's routing: [client, ..., <IDS|MSG>, ...]. What can't be
     * delivered may come back by broadcast_undelivered(), but not in this call. */
    void (*to_engine)(void *ctx, struct engine *e, const struct frame *frames, unsigned n);
    /* Frames behind the client's routing. `source` is the engine of a real reply, else NULL. */
    void (*to_client)(void *ctx, struct slice client, const struct frame *frames, unsigned n,
                      struct engine *source);
    /* `msg_id` is the engine's own: "<original id>_<uuid>". */
    void (*event)(void *ctx, enum broadcast_event ev, struct engine *e, struct slice msg_id);
};

struct broadcast_config {
    size_t digest_history; /* signatures of requests remembered against replay, 0: none */
    uint64_t client_limit; /* octets of results kept for a client, 0: no limit */
};

/* All pointers are borrowed. ERSA_ENOMEM. */
int broadcast_new(struct broadcast **ret, struct session *s, const struct broadcast_config *cfg,
                  const struct broadcast_ops *ops, void *ctx, struct ersa_error *err);
/* Before its engines are freed. Accepts NULL. */
void broadcast_free(struct broadcast *b);

/* A request as received behind the client's identity. 0 when it was taken (or answered), else
 * what is wrong with it, and it was dropped without a reply: ERSA_EPROTO (frames), ERSA_EAUTH,
 * ERSA_EPARSE (header, metadata), ERSA_EEXIST (seen before), ERSA_ENOMEM. */
int broadcast_submit(struct broadcast *b, struct slice client, const struct msg *m);
/* A reply: [client, ..., <IDS|MSG>, ...]. `e` is whose connection it came by (NULL: nobody that
 * is registered); whose reply it is says its signed header. Returns as above. */
int broadcast_reply(struct broadcast *b, struct engine *e, const struct msg *m);
/* What to_engine() took was not delivered, and will not be. */
void broadcast_undelivered(struct broadcast *b, struct engine *e, const struct frame *frames,
                           unsigned n);

/* `was_told`: clients hear of its end, and fail what they await of it themselves; then a
 * coalescing broadcast that it had part in ends without a reply. */
void broadcast_engine_gone(struct broadcast *b, struct engine *e, bool was_told);
void broadcast_client_gone(struct broadcast *b, struct slice client);

struct broadcast_counts {
    uint64_t requests, sent, replies, refused, late_replies;
    size_t gathering; /* coalescing ones under way */
};
struct broadcast_counts broadcast_counts(const struct broadcast *b);

#endif
