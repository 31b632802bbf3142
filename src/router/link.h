/* SPDX-License-Identifier: BSD-3-Clause */
/* A connected peer of one of the controller's ports: which engine it belongs to, what it may
 * do, how what is sent to it holds back who sends (design.md 7). */
#ifndef ERSA_ROUTER_LINK_H
#define ERSA_ROUTER_LINK_H

#include "router/engine.h"
#include "wire/port.h"
#include "wire/session.h"

struct router;
struct gate;

/* Input that was not served: counted here, logged once a peer. X(name, text) */
#define REJECTS(X)                                                     \
    X(MALFORMED, "not a message")                                      \
    X(SIGNATURE, "wrong signature")                                    \
    X(REPLAY, "message seen before")                                   \
    X(HEADER, "header, metadata or content that is not a JSON object") \
    X(CHANNEL, "unknown channel")                                      \
    X(STRANGER, "message of an engine that is not registered")         \
    X(UNROUTABLE, "message for an engine that is not there")           \
    X(UNREAD, "client that does not read, with what waited for it")    \
    X(NO_MEMORY, "out of memory")

enum reject {
#define X(name, text) REJECT_##name,
    REJECTS(X)
#undef X
        REJECT_MAX,
};

struct link {
    struct router *router;  /* borrowed */
    struct gate *gate;      /* borrowed */
    struct peer *peer;      /* borrowed; it ends with the link */
    struct engine *engine;  /* borrowed; NULL: a client, or an engine not registered */
    struct timer stuck;     /* a client: its queue is full; does it take anything? */
    uint64_t moved;         /* peer_moved() when that was last looked at ... */
    int64_t stuck_since_ns; /* ... and when it last was another */
    struct list wait;       /* paused by the mailer */
    struct list beat;       /* heart.c: who is pinged */
    unsigned asked;         /* queries that records has not answered; paused meanwhile */
    bool is_relayed;        /* somebody stands between its end and ours */
    bool complained;        /* bad input of it was logged */
};

/* Made by ports.c when a peer comes and goes. */
struct link *link_new(struct gate *g, struct peer *p); /* NULL when out of memory */
void link_free(struct link *l);

static inline struct slice link_identity(const struct link *l)
{
    return peer_identity(l->peer);
}

bool link_is_attached(const struct link *l);

/* The link is that engine's from now on, for the channel of its port. */
void link_bind(struct link *l, struct engine *e);
/* The engine's no more, on either side. */
void link_unbind(struct link *l);
/* Binds what is connected under the engine's uuid already. */
void link_bind_all(struct router *r, struct engine *e);
/* Unbinds all; before the engine is freed. */
void link_unbind_all(struct engine *e);
/* Drops connections whose queue is full. The engine is given up: what waits for it has failed,
 * and must not hold back who sent it. */
void link_drop_full(struct engine *e);

/* Sends. Where the receiver's queue is full, `source` (may be NULL) isn't read until it has
 * drained; a client that takes nothing in LINK_STUCK_MS is dropped. 0 or a negative ERSA_E*. */
int link_send(struct link *to, const struct frame *frames, unsigned n, struct link *source);
#define LINK_STUCK_MS 30000
/* The queue has drained: a port's event. */
void link_drained(struct link *l);

/* To the engine behind `to`, on that channel: attached engines get its name in front. */
int link_send_channel(struct link *to, enum channel ch, const struct frame *frames, unsigned n,
                      struct link *source);
/* The name of a channel on an attached connection. */
struct frame channel_frame(enum channel ch);

/* Splits a message and checks its signature; else it is rejected, and false. */
bool link_admit(struct link *l, const struct frame *frames, unsigned n, struct parts *ret);
/* Counts input that isn't served, and logs the first of a peer. */
void link_reject(struct link *l, enum reject why);
/* The same by what a scheduler returned; 0 and what has no reason of its own is none. */
void link_reject_error(struct link *l, int rc);

/* A tunnel acknowledges for the engine what it has not read, and may keep back what the engine
 * has written. Then the two ends have different names for the connection (so they have with
 * address translation). Of a connection that has ended meanwhile there is no address here.
 * `own`: the engine's name of its end, NULL: it tells none. */
void link_find_relay(struct link *l, const char *own);

#endif
