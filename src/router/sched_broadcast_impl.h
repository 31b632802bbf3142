/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the broadcast scheduler, shared by its files: sched_broadcast.c (requests) and
 * sched_broadcast_replies.c. */
#ifndef ERSA_ROUTER_SCHED_BROADCAST_IMPL_H
#define ERSA_ROUTER_SCHED_BROADCAST_IMPL_H

#include "router/fanout.h"
#include "router/gather.h"
#include "router/refusal.h"
#include "router/sched_broadcast.h"

#define BROADCAST_SENTENCE_MAX 2048

struct broadcast {
    struct session *session;         /* borrowed */
    const struct broadcast_ops *ops; /* borrowed */
    void *ctx;
    struct replay *replay; /* owned; NULL: no history */
    struct gathers gathers;
    struct buf text;    /* header and metadata that are being written */
    struct buf scratch; /* header and signature of a message of our own */
    struct frame *vec;  /* owned: the message that is being sent */
    size_t vec_cap;
    struct broadcast_counts counts;
};

/* Room for a message of that many frames, until the next call; NULL: out of memory. */
struct frame *broadcast_vec(struct broadcast *b, size_t n);
/* At the end of a message: a huge one leaves no huge buffer behind. */
void broadcast_trim(struct broadcast *b);

/* A reply made here, in the scheduler's buffers: valid until the next one. */
int broadcast_compose(struct broadcast *b, const struct refusal *r,
                      struct frame out[SESSION_FRAMES]);
/* To the client, behind the identities that stood in its request's envelope. */
void broadcast_send_behind(struct broadcast *b, struct slice client, const struct frame *idents,
                           unsigned n_idents, const struct frame *frames, unsigned n);
/* "Engine b'<uuid>' <what>: '<msg_id>' was not sent" */
void broadcast_put_sentence(char out[BROADCAST_SENTENCE_MAX], struct slice uuid,
                            struct slice msg_id, const char *what);

/* A part fails by what is known here. gather_begun() or broadcast_settle() comes afterwards. */
int broadcast_fail_part(struct broadcast *b, struct gather_part *part, struct slice msg_type,
                        const char *ename, const char *evalue);
/* After each change of a gather: answers and ends it when it is complete. `last` (may be NULL)
 * is the reply that made the change. */
void broadcast_settle(struct broadcast *b, struct gather *g, const struct parts *last,
                      struct engine *source);

#endif
