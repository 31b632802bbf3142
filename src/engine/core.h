/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine's inside, shared by the files of this folder and by nobody else: one struct, one
 * thread, one loop. Each member belongs to the file that it is named after. */
#ifndef ERSA_ENGINE_CORE_H
#define ERSA_ENGINE_CORE_H

#include "engine/channels.h"
#include "engine/dispatch.h"
#include "engine/engine.h"
#include "engine/heart.h"
#include "engine/life.h"
#include "engine/output.h"
#include "engine/publish.h"
#include "engine/queue.h"
#include "engine/registration.h"
#include "engine/reply.h"
#include "engine/runtime.h"
#include "loop/signals.h"
#include "util/buf.h"
#include "wire/caps.h"
#include "wire/session.h"

struct engine {
    struct engine_config cfg;
    struct loop *loop;       /* owned, as all below */
    struct block_pool *pool; /* shared: what comes in large goes to the runtime as it is */
    struct wire *wire;
    struct session *session;
    struct replay *replay;
    struct signals signals;
    struct channels channels;
    struct life life;
    struct registration registration;
    struct heart heart;
    struct runtime runtime;
    struct output output;
    struct queue queue;
    struct publish publish;
    struct reply_self self; /* once the id is known */

    int64_t id;              /* -1: none yet */
    unsigned caps;           /* in force */
    struct request *current; /* with the runtime; NULL: it is free */
    struct request *next;    /* is with it as soon as it is written that this one begins */
    bool is_next_told;       /* that is queued */
    bool is_held_back;       /* output waits for room */
    bool has_complained;     /* of what a peer sent */
    uint64_t rejected;
    struct timer tidy; /* gives memory of large requests back when none came for a while */

    struct buf scratch, metadata, text; /* engine_send_*() */
    struct buf last_begun;              /* the id of the last task said to begin */
    struct buf tell_free_to;            /* recall.c: who wants to know; empty: nobody */
    struct frame *vec;
    unsigned vec_cap;
};

/* Room for a message of `n` frames; valid until the next call. NULL when out of memory. */
struct frame *engine_vec(struct engine *e, unsigned n);

/* A message to the hub. */
void engine_send_query(struct engine *e, const char *msg_type, struct slice content);

/* The answer to a request, with its metadata (reply.h). `status` is for the metadata; content
 * data NULL: {"status": <status>}. Does nothing for a type that has no reply. */
void engine_send_reply(struct engine *e, const struct request *r, struct slice status,
                       bool is_unmet, struct slice content, const struct frame *buffers,
                       unsigned n_buffers);
/* The same from a tree, whose reference it takes; NULL counts as out of memory. */
void engine_answer(struct engine *e, const struct request *r, json_t *content);

/* Looks whether output must be held back, or can go on. */
void engine_balance(struct engine *e);

/* A request is done: what it needed is kept for the next one, but not for ever. */
void engine_tidy_later(struct engine *e);

/* What a peer sent can't be used: counted, logged the first time. */
void engine_reject(struct engine *e, const char *why);

#endif
