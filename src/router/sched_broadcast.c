/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests fan out by fanout.c; replies pass, or are gathered by gather.c. Failures that are
 * found here become replies like an engine's, so that there is one way to the client. */
#include "router/sched_broadcast.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/fanout.h"
#include "router/gather.h"
#include "router/refusal.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"

#define TEXT_MAX ((size_t)256 << 20) /* header and metadata of one message */
#define TEXT_KEEP ((size_t)256 << 10)
#define VEC_KEEP 8192
#define SCRATCH_MAX 65536
#define SENTENCE_MAX 2048

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

static struct frame *vec_of(struct broadcast *b, size_t n)
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

/* A huge message leaves no huge buffer behind. */
static void trim(struct broadcast *b)
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

static int compose(struct broadcast *b, const struct refusal *r,
                   struct frame out[SESSION_FRAMES])
{
    return refusal_compose(r, b->session, &b->text, &b->scratch, out);
}

/* To the client, behind the identities that stood in its request's envelope. */
static void send_behind(struct broadcast *b, struct slice client, const struct frame *idents,
                        unsigned n_idents, const struct frame *frames, unsigned n)
{
    struct frame *all = vec_of(b, (size_t)n_idents + n);
    if (!all)
        return;
    if (n_idents)
        memcpy(all, idents, n_idents * sizeof(*all));
    memcpy(all + n_idents, frames, n * sizeof(*all));
    b->ops->to_client(b->ctx, client, all, n_idents + n, NULL);
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
    if (compose(b, &failure, own) == 0)
        send_behind(b, client, f->parts.idents, f->parts.n_idents, own, SESSION_FRAMES);
}

/* Coalesced replies */

/* One message from all: what is not buffers is `base`'s. */
static int send_gathered(struct broadcast *b, const struct gather *g, const struct parts *base,
                         struct engine *source)
{
    char signature[SESSION_SIGNATURE_MAX];
    unsigned n = gather_frames(g);
    struct frame *all = vec_of(b, n);
    int rc = all ? gather_compose(g, base, b->session, &b->text, signature, all) : ERSA_ENOMEM;
    if (rc == 0)
        b->ops->to_client(b->ctx, frame_slice(&g->request->frames[0]), all, n, source);
    return rc;
}

/* After each change of a gather: answers and ends it when it is complete. `last` (may be NULL)
 * is the reply that made the change. */
static void settle(struct broadcast *b, struct gather *g, const struct parts *last,
                   struct engine *source)
{
    struct parts failed;
    if (!gather_is_complete(g))
        return;
    const struct parts *base = last;
    if (g->failure)
        base = parts_split(g->failure->frames, g->failure->n, &failed) == 0 ? &failed : NULL;
    int rc = base ? send_gathered(b, g, base, source) : ERSA_EPROTO;
    if (rc < 0)
        log_error("broadcast::the reply to %.*s was not sent: %s", SLICE_FMT(g->msg_id),
                  ersa_strerror(rc));
    gather_drop(&b->gathers, g);
    trim(b);
}

/* A part fails by what is known here. `gather_begun` or settle() comes afterwards. */
static int fail_part(struct broadcast *b, struct gather_part *part, struct slice msg_type,
                     const char *ename, const char *evalue)
{
    struct gather *g = part->gather;
    struct frame own[SESSION_FRAMES];
    struct parts p;
    struct refusal failure = {
        .ename = ename,
        .evalue = evalue,
        .parent = frame_slice(&g->request->frames[g->request->n - 1]),
        .msg_type = msg_type,
        .original = g->msg_id,
        .uuid = g->targets.all[part - g->parts].uuid,
        .is_coalescing = true,
    };
    int rc = compose(b, &failure, own);
    if (rc == 0)
        rc = parts_split(own, SESSION_FRAMES, &p);
    return rc < 0 ? rc : gather_fail(part, &p);
}

/* A failure behind the request's first step. What can't even be told (no memory) is dropped. */
static void fail_and_settle(struct broadcast *b, struct gather_part *part, const char *ename,
                            const char *evalue)
{
    struct gather *g = part->gather;
    struct jfield type = {.key = "msg_type"};
    char buf[FANOUT_ID_MAX];
    struct slice msg_type;
    int rc = jscan(frame_slice(&g->request->frames[g->request->n - 1]), &type, 1);
    if (rc == 0)
        rc = jscan_string(&type, buf, sizeof(buf), &msg_type);
    if (rc == 0)
        rc = fail_part(b, part, msg_type, ename, evalue);
    if (rc < 0)
        gather_drop(&b->gathers, g);
    else
        settle(b, g, NULL, NULL);
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

static void put_sentence(char out[SENTENCE_MAX], struct slice uuid, struct slice msg_id,
                         const char *what)
{
    snprintf(out, SENTENCE_MAX, "Engine b'%.*s' %s: '%.*s' was not sent", SLICE_FMT(uuid), what,
             SLICE_FMT(msg_id));
}

/* Nobody is there of that uuid. 0 or a negative ERSA_E*: nobody is told. */
static int fail_target(struct broadcast *b, const struct request *q, const struct target *t,
                       struct slice header, struct slice msg_id)
{
    char sentence[SENTENCE_MAX];
    if (!q->f->has_reply)
        return 0;
    put_sentence(sentence, t->uuid, msg_id, "is not registered");
    if (q->gather)
        return fail_part(b, &q->gather->parts[t - q->targets->all], q->f->msg_type,
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
    int rc = parent ? compose(b, &failure, own) : ERSA_ENOMEM;
    if (rc == 0)
        send_behind(b, q->client, q->f->parts.idents, q->f->parts.n_idents, own,
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
    struct frame *all = vec_of(b, (size_t)q->m->n + 1);
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
        settle(b, q->gather, NULL, NULL);
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
    trim(b);
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

/* Replies */

/* A verified reply. */
struct answer {
    struct parts parts;
    struct slice client, uuid, msg_id;
    struct slice original; /* absent: it is no answer to a broadcast's request */
    bool is_ok, is_coalescing;
    char buf[2][FANOUT_ID_MAX];
};

static bool is_ok(const struct jfield *status, struct slice content)
{
    struct jfield f = {.key = "status"};
    if (status->type == J_STRING)
        return slice_is(status->raw, "ok");
    if (jscan(content, &f, 1) < 0)
        return false;
    return f.type == J_ABSENT || (f.type == J_STRING && slice_is(f.raw, "ok"));
}

static int read_answer(struct answer *a)
{
    const struct parts *p = &a->parts;
    struct jfield session = {.key = "session"}, id = {.key = "msg_id"};
    struct jfield meta[] = {{.key = "status"}, {.key = "is_coalescing"}};
    int rc = jscan(p->header, &session, 1);
    if (rc == 0)
        rc = jscan_one(p->parent, &id);
    if (rc == 0)
        rc = jscan(p->metadata, meta, 2);
    if (rc == 0)
        rc = jscan_string(&session, a->buf[0], FANOUT_ID_MAX, &a->uuid);
    if (rc == 0)
        rc = jscan_string(&id, a->buf[1], FANOUT_ID_MAX, &a->msg_id);
    if (rc < 0)
        return rc;
    if (!fanout_original(a->msg_id, a->uuid, &a->original))
        a->original = (struct slice){0};
    a->is_ok = is_ok(&meta[0], p->content);
    a->is_coalescing = false;
    jscan_bool(&meta[1], &a->is_coalescing);
    return 0;
}

static void take_answer(struct broadcast *b, struct gather_part *part, const struct answer *a,
                        struct engine *source)
{
    struct gather *g = part->gather;
    int rc =
        a->is_ok ? gather_keep(&b->gathers, part, &a->parts) : gather_fail(part, &a->parts);
    if (rc == 0)
        settle(b, g, &a->parts, source);
    else if (a->is_ok)
        fail_and_settle(b, part, "QueueFull",
                        "the results of this client's broadcasts pass what is kept for it "
                        "(TaskScheduler.client_limit)");
    else
        gather_drop(&b->gathers, g);
}

int broadcast_reply(struct broadcast *b, struct engine *e, const struct msg *m)
{
    struct answer a;
    int rc = parts_split(m->frames, m->n, &a.parts);
    if (rc == 0 && a.parts.n_idents == 0)
        rc = ERSA_EPROTO;
    if (rc == 0)
        rc = session_verify(b->session, &a.parts);
    if (rc == 0)
        rc = read_answer(&a);
    if (rc < 0)
        return rc;
    a.client = frame_slice(&a.parts.idents[0]);
    struct engine *signer = e && slice_eq(e->uuid, a.uuid) ? e : b->ops->find(b->ctx, a.uuid);
    if (signer)
        b->ops->event(b->ctx, BROADCAST_ANSWERED, signer, a.msg_id);
    b->counts.replies++;
    struct gather *g = a.original.data ? gather_find(&b->gathers, a.client, a.original) : NULL;
    struct gather_part *part = g ? gather_part_of(g, a.uuid) : NULL;
    if (part)
        take_answer(b, part, &a, e);
    else if (g || a.is_coalescing)
        b->counts.late_replies++;
    else
        b->ops->to_client(b->ctx, a.client, m->frames + 1, m->n - 1, e);
    return 0;
}

void broadcast_undelivered(struct broadcast *b, struct engine *e, const struct frame *frames,
                           unsigned n)
{
    struct parts p;
    struct fanout f; /* as the engine would have got it */
    struct slice original;
    char sentence[SENTENCE_MAX];
    bool is_coalescing = false;
    if (parts_split(frames, n, &p) < 0 || p.n_idents == 0 || fanout_read(&f, &p) < 0 ||
        !f.has_reply || !fanout_original(f.msg_id, e->uuid, &original))
        return;
    struct slice client = frame_slice(&p.idents[0]);
    b->ops->event(b->ctx, BROADCAST_FAILED, e, f.msg_id);
    put_sentence(sentence, e->uuid, f.msg_id, "is not connected");
    struct gather *g = gather_find(&b->gathers, client, original);
    struct gather_part *part = g ? gather_part_of(g, e->uuid) : NULL;
    if (part) {
        fail_and_settle(b, part, "EngineError", sentence);
        return;
    }
    jscan_bool(&f.is_coalescing, &is_coalescing);
    struct frame own[SESSION_FRAMES];
    struct refusal failure = {.ename = "EngineError",
                              .evalue = sentence,
                              .parent = p.header,
                              .msg_type = f.msg_type,
                              .original = original,
                              .uuid = e->uuid};
    if (!is_coalescing && compose(b, &failure, own) == 0)
        send_behind(b, client, p.idents + 1, p.n_idents - 1, own, SESSION_FRAMES);
}

/* Comings and goings */

void broadcast_engine_gone(struct broadcast *b, struct engine *e, bool was_told)
{
    while (!list_is_empty(&e->broadcasts)) {
        struct gather_part *part = container_of(e->broadcasts.next, struct gather_part, link);
        if (was_told)
            gather_drop(&b->gathers, part->gather);
        else
            fail_and_settle(b, part, "EngineError", "the engine went before it was ready");
    }
}

void broadcast_client_gone(struct broadcast *b, struct slice client)
{
    gather_drop_client(&b->gathers, client);
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
