/* SPDX-License-Identifier: BSD-3-Clause */
/* One broadcast request and what each of its targets gets (schedulers.md C.2 and C.3): header
 * and metadata are written anew for each, by splicing text, and signed; everything else is the
 * same frames. What a target gets names no other target, so the whole is linear in their
 * number. */
#ifndef ERSA_ROUTER_FANOUT_H
#define ERSA_ROUTER_FANOUT_H

#include "router/sched_task.h"
#include "util/buf.h"
#include "util/map.h"
#include "wire/jscan.h"
#include "wire/session.h"

#define FANOUT_TARGETS_MAX 131072
#define FANOUT_ORIGINAL_MAX 768 /* octets of a client's message id */
#define FANOUT_ID_MAX (FANOUT_ORIGINAL_MAX + 1 + ENGINE_UUID_MAX)

struct target {
    struct slice uuid;    /* decoded */
    struct slice escaped; /* the same as it stands in JSON */
    struct slice pair;    /* "[uuid, id]", JSON text */
};

struct targets {
    struct target *all; /* owned; in the request's order, each uuid once */
    size_t n;
    char *text; /* owned: what they point into */
    size_t bytes;
    struct map by_uuid; /* struct target */
};

/* A broken list is ERSA_EPARSE, too many targets ERSA_EFULL, ERSA_ENOMEM; then there is nothing
 * to free. */
int targets_read(struct targets *ret, const struct jfield *list);
void targets_fini(struct targets *t);

struct fanout {
    struct parts parts; /* borrowed */
    struct slice msg_id, msg_type;
    struct slice id_text; /* the id as it stands in JSON */
    struct jfield targets, is_coalescing;
    bool has_reply; /* a type that is answered */
    char buf[2][FANOUT_ID_MAX];
};

/* Reads header and metadata of the message in `p`. ERSA_EPARSE: not what they should be. */
int fanout_read(struct fanout *ret, const struct parts *p);

/* "<original id>_<uuid>" in `out`. ERSA_EFULL: the original is too long. */
int fanout_id(const struct fanout *f, const struct target *t, char out[FANOUT_ID_MAX],
              struct slice *ret);
/* Header and metadata for the target, written to `text` (reset first). ERSA_ENOMEM, ERSA_EFULL.
 */
int fanout_write(const struct fanout *f, const struct target *t, struct buf *text,
                 struct slice *ret_header, struct slice *ret_metadata);

/* The original id of one made by fanout_id(). False: it is not that engine's. */
bool fanout_original(struct slice msg_id, struct slice uuid, struct slice *ret);

/* An object's text without its closing brace. `ret_is_empty`: it has no member, so none that
 * is added needs a comma in front. */
struct slice fanout_open_object(struct slice object, bool *ret_is_empty);

#endif
