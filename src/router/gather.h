/* SPDX-License-Identifier: BSD-3-Clause */
/* Coalescing broadcasts under way (schedulers.md C.5): the engines' results, kept until all
 * targets have answered. Of those that succeed only the buffers are kept. Once one has failed
 * the whole has failed, and only the failure that comes first in the request's order is kept.
 * What a client's broadcasts hold is bounded. */
#ifndef ERSA_ROUTER_GATHER_H
#define ERSA_ROUTER_GATHER_H

#include "router/engine.h"
#include "router/fanout.h"

struct gather;
struct gather_client;

struct gather_part {
    struct list link; /* in the engine's `broadcasts` while its answer is awaited */
    struct gather *gather;
    struct held *buffers; /* owned; NULL: none yet, or none at all */
    bool is_done;
};

struct gather {
    struct list link; /* in its client's */
    struct gather_client *client;
    struct held *request; /* owned: [client, identities..., header] */
    struct slice msg_id;  /* in `key` */
    struct targets targets;
    struct gather_part *parts; /* owned array, as targets.all */
    size_t n_open;
    size_t bytes;
    struct held *failure; /* owned: a reply from the delimiter on; NULL: none has failed */
    size_t failure_at;
    size_t key_len;
    char key[]; /* the client's identity behind its length, message id */
};

struct gathers {
    struct map open;
    struct map clients;
    uint64_t limit; /* octets a client, 0: none */
};

void gathers_init(struct gathers *gs, uint64_t limit);
void gathers_fini(struct gathers *gs);

/* Takes the targets on success; they are one more than answers awaited until gather_begun().
 * ERSA_EEXIST: such a request is open; ERSA_EFULL: it passes the client's bound; ERSA_ENOMEM.
 */
int gather_open(struct gathers *gs, struct slice client, const struct fanout *f,
                struct targets *targets, struct gather **ret);
/* All targets have been dealt with. */
void gather_begun(struct gather *g);
/* Ends it; late answers find nothing. */
void gather_drop(struct gathers *gs, struct gather *g);
void gather_drop_client(struct gathers *gs, struct slice client);

struct gather *gather_find(const struct gathers *gs, struct slice client, struct slice msg_id);
/* What that engine still has to answer; NULL: nothing. */
struct gather_part *gather_part_of(const struct gather *g, struct slice uuid);
void gather_await(struct gather_part *part, struct engine *e);

/* It succeeded. ERSA_EFULL, ERSA_ENOMEM: it has to fail instead. */
int gather_keep(struct gathers *gs, struct gather_part *part, const struct parts *reply);
/* It failed, and this tells how. ERSA_ENOMEM: nobody is told. */
int gather_fail(struct gather_part *part, const struct parts *reply);

/* The one reply from all, behind the client's routing: gather_frames() frames in `out`; what is
 * not buffers is `base`'s. Metadata and signature are written to `text` (reset first) and
 * `signature`. ERSA_ENOMEM, ERSA_EFULL. */
unsigned gather_frames(const struct gather *g);
int gather_compose(const struct gather *g, const struct parts *base, struct session *s,
                   struct buf *text, char signature[SESSION_SIGNATURE_MAX], struct frame *out);

static inline bool gather_is_complete(const struct gather *g)
{
    return g->n_open == 0;
}

#endif
