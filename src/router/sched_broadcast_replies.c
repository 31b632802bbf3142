/* SPDX-License-Identifier: BSD-3-Clause */
/* Replies to broadcasts: they pass, or are gathered by gather.c until all are there; and what
 * becomes of those that will never come. */
#include "router/sched_broadcast_impl.h"

#include "util/log.h"

/* Coalesced replies */

/* One message from all: what is not buffers is `base`'s. */
static int send_gathered(struct broadcast *b, const struct gather *g, const struct parts *base,
                         struct engine *source)
{
    char signature[SESSION_SIGNATURE_MAX];
    unsigned n = gather_frames(g);
    struct frame *all = broadcast_vec(b, n);
    int rc = all ? gather_compose(g, base, b->session, &b->text, signature, all) : ERSA_ENOMEM;
    if (rc == 0)
        b->ops->to_client(b->ctx, frame_slice(&g->request->frames[0]), all, n, source);
    return rc;
}

void broadcast_settle(struct broadcast *b, struct gather *g, const struct parts *last,
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
    broadcast_trim(b);
}

int broadcast_fail_part(struct broadcast *b, struct gather_part *part, struct slice msg_type,
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
    int rc = broadcast_compose(b, &failure, own);
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
        rc = broadcast_fail_part(b, part, msg_type, ename, evalue);
    if (rc < 0)
        gather_drop(&b->gathers, g);
    else
        broadcast_settle(b, g, NULL, NULL);
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
        broadcast_settle(b, g, &a->parts, source);
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
    char sentence[BROADCAST_SENTENCE_MAX];
    bool is_coalescing = false;
    if (parts_split(frames, n, &p) < 0 || p.n_idents == 0 || fanout_read(&f, &p) < 0 ||
        !f.has_reply || !fanout_original(f.msg_id, e->uuid, &original))
        return;
    struct slice client = frame_slice(&p.idents[0]);
    b->ops->event(b->ctx, BROADCAST_FAILED, e, f.msg_id);
    broadcast_put_sentence(sentence, e->uuid, f.msg_id, "is not connected");
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
    if (!is_coalescing && broadcast_compose(b, &failure, own) == 0)
        broadcast_send_behind(b, client, p.idents + 1, p.n_idents - 1, own, SESSION_FRAMES);
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
