/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests fan out by fanout.c. Failures that are found here become replies like an engine's,
 * so that there is one way to the client. */
#include "router/sched_broadcast_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"

#define TEXT_MAX ((size_t)256 << 20) /* header and metadata of one message */
#define TEXT_KEEP ((size_t)256 << 10)
#define VEC_KEEP 8192
#define SCRATCH_MAX 65536

struct frame *broadcast_vec(struct broadcast *b, size_t n)
{
    if (n > b->vec_cap) {
        struct frame *grown = reallocarray(b->vec, 2 * n, sizeof(*grown));
        if (!grown)
            return NULL;
        b->vec = grown;
        b->vec_cap = 2 * n;
    }
    return b->vec;
}

static struct frame as_frame(struct slice s)
{
    return (struct frame){(const uint8_t *)s.data, s.len, NULL};
}

void broadcast_trim(struct broadcast *b)
{
    if (b->text.cap > TEXT_KEEP) {
        buf_fini(&b->text);
        buf_init(&b->text, TEXT_MAX);
    }
    if (b->vec_cap > VEC_KEEP) {
        free(TAKE_PTR(b->vec));
        b->vec_cap = 0;
    }
}

/* Replies made here */

int broadcast_compose(struct broadcast *b, const struct refusal *r,
                      struct frame out[SESSION_FRAMES])
{
    return refusal_compose(r, b->session, &b->text, &b->scratch, out);
}

void broadcast_send_behind(struct broadcast *b, struct slice client, const struct frame *idents,
                           unsigned n_idents, const struct frame *frames, unsigned n)
{
    struct frame *all = broadcast_vec(b, (size_t)n_idents + n);
    if (!all)
        return;
    if (n_idents)
        memcpy(all, idents, n_idents * sizeof(*all));
    memcpy(all + n_idents, frames, n * sizeof(*all));
    b->ops->to_client(b->ctx, client, all, n_idents + n, NULL);
}

void broadcast_put_sentence(char out[BROADCAST_SENTENCE_MAX], struct slice uuid,
                            struct slice msg_id, const char *what)
{
    snprintf(out, BROADCAST_SENTENCE_MAX, "Engine b'%.*s' %s: '%.*s' was not sent",
             SLICE_FMT(uuid), what, SLICE_FMT(msg_id));
}

/* A request that nobody gets: the client awaits an answer to the original id. */
static void refuse(struct broadcast *b, struct slice client, const struct fanout *f,
                   const char *ename, const char *evalue)
{
    struct frame own[SESSION_FRAMES];
    struct refusal failure = {.ename = ename,
                              .evalue = evalue,
                              .parent = f->parts.header,
                              .msg_type = f->msg_type,
                              .original = f->msg_id};
    b->counts.refused++;
    if (broadcast_compose(b, &failure, own) == 0)
        broadcast_send_behind(b, client, f->parts.idents, f->parts.n_idents, own,
                              SESSION_FRAMES);
}

/* Requests */

/* A verified request on its way to its targets. */
struct request {
    struct fanout *f;
    struct slice client;
    const struct msg *m;
    struct gather *gather; /* NULL: replies just pass */
    const struct targets *targets;
};

/* Nobody is there of that uuid. 0 or a negative ERSA_E*: nobody is told. */
static int fail_target(struct broadcast *b, const struct request *q, const struct target *t,
                       struct slice header, struct slice msg_id)
{
    char sentence[BROADCAST_SENTENCE_MAX];
    if (!q->f->has_reply)
        return 0;
    broadcast_put_sentence(sentence, t->uuid, msg_id, "is not registered");
    if (q->gather)
        return broadcast_fail_part(b, &q->gather->parts[t - q->targets->all], q->f->msg_type,
                                   "EngineError", sentence);
    /* The header is in the buffer that the failure is written to. */
    char *parent = str_dup_slice(header);
    struct frame own[SESSION_FRAMES];
    struct refusal failure = {.ename = "EngineError",
                              .evalue = sentence,
                              .parent = {parent, header.len},
                              .msg_type = q->f->msg_type,
                              .original = q->f->msg_id,
                              .uuid = t->uuid};
    int rc = parent ? broadcast_compose(b, &failure, own) : ERSA_ENOMEM;
    if (rc == 0)
        broadcast_send_behind(b, q->client, q->f->parts.idents, q->f->parts.n_idents, own,
                              SESSION_FRAMES);
    free(parent);
    return rc;
}

static int send_to_target(struct broadcast *b, const struct request *q, const struct target *t)
{
    char id[FANOUT_ID_MAX], signature[SESSION_SIGNATURE_MAX];
    struct slice msg_id = {NULL, 0}, header = msg_id, metadata = msg_id;
    const struct parts *p = &q->f->parts;
    int rc = fanout_id(q->f, t, id, &msg_id);
    if (rc == 0)
        rc = fanout_write(q->f, t, &b->text, &header, &metadata);
    if (rc < 0)
        return rc;
    struct engine *e = b->ops->find(b->ctx, t->uuid);
    if (!e)
        return fail_target(b, q, t, header, msg_id);
    size_t len = session_sign(b->session, header, p->parent, metadata, p->content, signature);
    struct frame *all = broadcast_vec(b, (size_t)q->m->n + 1);
    if (!all)
        return ERSA_ENOMEM;
    all[0] = as_frame(q->client);
    memcpy(all + 1, q->m->frames, q->m->n * sizeof(*all));
    struct frame *wire = all + 1 + p->n_idents;
    wire[1] = as_frame((struct slice){signature, len});
    wire[2] = as_frame(header);
    wire[4] = as_frame(metadata);
    if (q->f->has_reply)
        b->ops->event(b->ctx, BROADCAST_SENT, e, msg_id);
    if (q->gather)
        gather_await(&q->gather->parts[t - q->targets->all], e);
    b->counts.sent++;
    b->ops->to_engine(b->ctx, e, all, q->m->n + 1);
    return 0;
}

/* Where one target can't be served for want of memory, the others still are. */
static void send_to_all(struct broadcast *b, const struct request *q)
{
    int rc = 0;
    for (size_t i = 0; i < q->targets->n; i++) {
        int one = send_to_target(b, q, &q->targets->all[i]);
        if (one < 0)
            rc = one;
    }
    if (rc < 0)
        log_error("broadcast::%.*s did not reach all its targets: %s", SLICE_FMT(q->f->msg_id),
                  ersa_strerror(rc));
    if (!q->gather)
        return;
    gather_begun(q->gather);
    if (rc < 0)
        gather_drop(&b->gathers, q->gather);
    else
        broadcast_settle(b, q->gather, NULL, NULL);
}

/* Reads what the client must say; a sentence where it does not. */
static const char *read_demand(const struct fanout *f, struct targets *targets,
                               bool *ret_is_coalescing, int *ret_rc)
{
    *ret_rc = 0;
    if (f->parts.header.len + f->parts.metadata.len > TEXT_MAX / 2)
        return "a broadcast's header and metadata are too long";
    if (jscan_bool(&f->is_coalescing, ret_is_coalescing) < 0)
        return "a broadcast's metadata must say is_coalescing, true or false";
    int rc = targets_read(targets, &f->targets);
    if (rc == ERSA_EFULL)
        return "a broadcast has too many targets";
    if (rc == ERSA_EPARSE)
        return "a broadcast's targets must be a list of [uuid, id]";
    *ret_rc = rc;
    return rc == 0 && targets->n == 0 ? "a broadcast has no targets" : NULL;
}

static int start(struct broadcast *b, struct slice client, const struct msg *m,
                 struct fanout *f)
{
    struct targets targets = {0};
    bool is_coalescing = false;
    int rc;
    const char *complaint = read_demand(f, &targets, &is_coalescing, &rc);
    if (complaint)
        refuse(b, client, f, "ValueError", complaint);
    struct request q = {.f = f, .client = client, .m = m, .targets = &targets};
    if (rc == 0 && !complaint && is_coalescing && f->has_reply) {
        rc = gather_open(&b->gathers, client, f, &targets, &q.gather);
        if (rc == ERSA_EFULL) {
            refuse(b, client, f, "QueueFull",
                   "too much is queued and unanswered for this client "
                   "(TaskScheduler.client_limit)");
            complaint = "";
            rc = 0;
        }
        if (q.gather)
            q.targets = &q.gather->targets;
    }
    if (rc == 0 && !complaint)
        send_to_all(b, &q);
    targets_fini(&targets);
    broadcast_trim(b);
    return rc;
}

int broadcast_submit(struct broadcast *b, struct slice client, const struct msg *m)
{
    struct parts p;
    struct fanout f = {.has_reply = false};
    int rc = parts_split(m->frames, m->n, &p);
    if (rc == 0)
        rc = session_verify(b->session, &p);
    if (rc == 0)
        rc = fanout_read(&f, &p);
    if (rc == 0 && f.msg_id.len > FANOUT_ORIGINAL_MAX)
        rc = ERSA_EPARSE;
    if (rc == 0 && b->replay && replay_check(b->replay, p.signature) == ERSA_EREPLAY)
        rc = ERSA_EEXIST;
    if (rc < 0)
        return rc;
    b->counts.requests++;
    return start(b, client, m, &f);
}

struct broadcast_counts broadcast_counts(const struct broadcast *b)
{
    struct broadcast_counts counts = b->counts;
    counts.gathering = map_size(&b->gathers.open);
    return counts;
}

int broadcast_new(struct broadcast **ret, struct session *s, const struct broadcast_config *cfg,
                  const struct broadcast_ops *ops, void *ctx, struct ersa_error *err)
{
    struct broadcast *b = calloc(1, sizeof(*b));
    if (!b)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    b->session = s;
    b->ops = ops;
    b->ctx = ctx;
    gathers_init(&b->gathers, cfg->client_limit);
    buf_init(&b->text, TEXT_MAX);
    buf_init(&b->scratch, SCRATCH_MAX);
    if (cfg->digest_history && session_has_key(s)) {
        b->replay = replay_new(cfg->digest_history);
        if (!b->replay) {
            broadcast_free(b);
            return err_set(err, ERSA_ENOMEM, "out of memory");
        }
    }
    *ret = b;
    return 0;
}

void broadcast_free(struct broadcast *b)
{
    if (!b)
        return;
    gathers_fini(&b->gathers);
    replay_free(b->replay);
    buf_fini(&b->text);
    buf_fini(&b->scratch);
    free(b->vec);
    free(b);
}
