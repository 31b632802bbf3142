/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages to the scheduler: each is verified, read in place once, and becomes an event of a
 * task. A request is copied once (task_new): whatever engine it goes to, it may have to go to
 * another. */
#include "router/sched_task.h"

#include <stdlib.h>
#include <string.h>

#include "router/recall.h"
#include "router/sched_core.h"
#include "router/task_meta.h"
#include "router/terms.h"
#include "util/err.h"
#include "wire/jscan.h"

#define ID_MAX 512       /* octets of a message id or a uuid */
#define ANSWER_MAX 65536 /* header and signature of an answer made here */
#define ALL_LIMITS 2     /* client limits that all clients share */
#define REST_SHARE 4     /* of what is left of them one client may have so many times */

struct frame *sched_vec(struct sched *s, struct frame first, const struct frame *frames,
                        unsigned n)
{
    size_t need = (size_t)n + 1;
    if (need > s->vec_cap) {
        struct frame *grown = reallocarray(s->vec, 2 * need, sizeof(*grown));
        if (!grown)
            return NULL;
        s->vec = grown;
        s->vec_cap = 2 * need;
    }
    s->vec[0] = first;
    memcpy(s->vec + 1, frames, n * sizeof(*frames));
    return s->vec;
}

int sched_new(struct sched **ret, struct loop *l, struct session *session,
              const struct sched_config *cfg, const struct sched_ops *ops, void *ctx,
              struct ersa_error *err)
{
    struct sched *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    s->loop = l;
    s->session = session;
    s->cfg = *cfg;
    s->ops = ops;
    s->ctx = ctx;
    slabs_init(&s->slabs);
    formers_init(&s->formers);
    map_init(&s->tasks);
    map_init(&s->accounts);
    map_init(&s->by_uuid);
    map_init(&s->by_number);
    line_init(&s->line);
    seen_init(&s->seen);
    places_init(&s->places);
    buf_init(&s->scratch, ANSWER_MAX);
    buf_init(&s->recall_text, RECALL_TEXT_MAX);
    pacer_init(&s->pacer);
    untold_init(&s->untold);
    s->settle_rest.fn = sched_settle_rest;
    list_init(&s->settle_rest.link);
    struct list *const lists[] = {&s->waiting, &s->engines, &s->decided};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        list_init(lists[i]);
    s->is_off = strcmp(cfg->scheme, "none") == 0;
    int rc = policy_open(&s->policy, s->is_off ? "leastload" : cfg->scheme, err);
    if (rc == 0 && s->policy->ops->is_relay)
        s->cfg.hwm = 0;
    if (rc < 0) {
        sched_free(s);
        return rc;
    }
    *ret = s;
    return 0;
}

void sched_free(struct sched *s)
{
    if (!s)
        return;
    size_t pos = 0;
    struct task *t;
    while ((t = map_next(&s->tasks, &pos)))
        task_free(s, t);
    untold_fini(s);
    sched_engines_fini(s);
    loop_undefer(&s->settle_rest);
    policy_close(s->policy);
    formers_fini(&s->formers);
    slabs_fini(&s->slabs);
    map_fini(&s->tasks);
    map_fini(&s->accounts);
    map_fini(&s->by_uuid);
    map_fini(&s->by_number);
    line_fini(&s->line);
    seen_fini(&s->seen);
    places_fini(&s->places);
    buf_fini(&s->scratch);
    buf_fini(&s->recall_text);
    free(s->vec);
    free(s->candidates);
    free(s);
}

void sched_trim(struct sched *s)
{
    slabs_trim(&s->slabs);
    untold_trim(&s->untold);
    map_trim(&s->tasks);
    map_trim(&s->accounts);
}

/* Requests */

static int admit(struct sched *s, const struct msg *m, struct parts *ret)
{
    int rc = parts_split(m->frames, m->n, ret);
    if (rc == 0)
        rc = session_verify(s->session, ret);
    if (rc < 0)
        s->counts.dropped_bad++;
    return rc;
}

/* Everything else gets no reply (comm messages), and would keep its place at an engine for
 * ever.
 */
static bool is_request(struct slice type)
{
    static const char suffix[] = "_request";
    size_t len = sizeof(suffix) - 1;
    return type.len > len && memcmp(type.data + type.len - len, suffix, len) == 0;
}

static bool read_msg_id(struct slice header, char buf[ID_MAX], struct slice *ret)
{
    struct jfield f[] = {{.key = "msg_id"}, {.key = "msg_type"}};
    return jscan(header, f, 2) == 0 && f[1].type == J_STRING && is_request(f[1].raw) &&
           jscan_string(&f[0], buf, ID_MAX, ret) == 0;
}

/* The sentence for a client that has too much waiting, or NULL. Who connects anew is another
 * client, so there is a bound for all of them, too: twice that for one. Each may have some
 * times what is left of it, so whoever has little finds room. */
static const char *read_limit(const struct sched *s, struct slice client, const struct msg *m)
{
    uint64_t limit = s->cfg.client_limit, more = 0;
    if (limit == 0)
        return NULL;
    const struct account *a = map_get(&s->accounts, client.data, client.len);
    for (unsigned i = 0; i < m->n; i++)
        more += m->frames[i].len;
    uint64_t own = (a ? a->bytes : 0) + more, all = s->held_bytes + more;
    if (own > limit)
        return "too much is queued and unanswered for this client (TaskScheduler.client_limit)";
    if (all > ALL_LIMITS * limit || own > REST_SHARE * (ALL_LIMITS * limit - all))
        return "too much is queued and unanswered for all clients together (twice "
               "TaskScheduler.client_limit)";
    return NULL;
}

/* A verified request on its way to become a task. */
struct request {
    const struct frame *frames; /* [client, identities..., <IDS|MSG>, ...] */
    unsigned n;
    struct parts parts;
    struct slice msg_id;
    struct task_meta meta;
};

static void refuse(struct sched *s, const struct request *q, const char *ename,
                   const char *evalue)
{
    bool is_full = strcmp(ename, "QueueFull") == 0;
    seen_set(&s->seen, q->msg_id, SEEN_FAILED);
    if (!is_full) { /* else records would have to hold what we don't */
        s->counts.submitted++;
        s->counts.failed++;
        stats_hist_add(&s->counts.total_time, 0);
        s->ops->event(s->ctx, TASK_SUBMITTED, q->msg_id, (struct slice){NULL, 0}, &q->parts);
    }
    reply_refusal(s, q->frames, 1 + q->parts.n_idents, q->parts.header, q->msg_id, ename,
                  evalue);
}

static void start(struct sched *s, const struct request *q)
{
    struct task *t =
        task_new(s, q->frames, q->n, 1 + q->parts.n_idents, q->parts.header, q->msg_id);
    if (!t || seen_set(&s->seen, q->msg_id, SEEN_OPEN) < 0) {
        if (t)
            task_free(s, t);
        refuse(s, q, "MemoryError", "out of memory");
        return;
    }
    t->retries = q->meta.retries;
    t->seq = s->next_seq++;
    s->counts.submitted++;
    s->ops->event(s->ctx, TASK_SUBMITTED, t->msg_id, (struct slice){NULL, 0}, &q->parts);
    int rc = q->meta.is_plain ? 0 : terms_read(s, t, &q->meta);
    if (rc == 0 && !q->meta.is_plain)
        rc = depend_bind(s, t, &q->meta);
    if (rc < 0) {
        struct verdict v = {.ename = rc == ERSA_ENOENT ? "InvalidDependency" : "MemoryError",
                            .evalue = ""};
        task_event(s, t, TE_REFUSED, &v);
    } else if (sched_is_behind(s) && terms_of(s, t)) {
        sched_decide(s, t->terms); /* older ones first */
    } else {
        sched_judge(s, t);
    }
    sched_settle(s);
}

int sched_submit(struct sched *s, struct slice client, const struct msg *m)
{
    struct request q;
    char buf[ID_MAX];
    const char *complaint = "metadata must be a JSON object", *full;
    int rc = admit(s, m, &q.parts);
    if (rc < 0)
        return rc;
    if (!read_msg_id(q.parts.header, buf, &q.msg_id)) {
        s->counts.dropped_bad++;
        return ERSA_EPARSE;
    }
    if (seen_get(&s->seen, q.msg_id) != SEEN_NEVER) {
        s->counts.refused_known++;
        return ERSA_EEXIST;
    }
    q.frames = sched_vec(s, (struct frame){(const uint8_t *)client.data, client.len, NULL},
                         m->frames, m->n);
    q.n = m->n + 1;
    if (!q.frames)
        return ERSA_ENOMEM;
    if (s->is_off) {
        refuse(s, &q, "NoScheduler",
               "this cluster has no task scheduler (TaskScheduler.scheme_name is none): use a "
               "direct view");
    } else if ((full = read_limit(s, client, m))) {
        s->counts.refused_full++;
        refuse(s, &q, "QueueFull", full);
    } else if (s->policy->ops->is_relay) {
        q.meta = (struct task_meta){.is_plain = true};
        start(s, &q);
    } else if (task_meta_read(q.parts.metadata, &q.meta, &complaint) < 0) {
        refuse(s, &q, "ValueError", complaint);
    } else {
        start(s, &q);
    }
    return 0;
}

/* Replies */

/* Whose answer it is; `room` is for one that is not there any more. */
static struct sched_engine *find_author(struct sched *s, struct sched_engine *e,
                                        struct slice header, const struct jfield *session,
                                        struct sched_engine *room)
{
    struct jfield own = {.key = "session"};
    char buf[ID_MAX];
    struct slice uuid;
    if (!session && jscan(header, &own, 1) < 0)
        return NULL;
    if (jscan_string(session ? session : &own, buf, sizeof(buf), &uuid) < 0)
        return NULL;
    if (e && slice_eq(e->uuid, uuid))
        return e;
    struct sched_engine *author = map_get(&s->by_uuid, uuid.data, uuid.len);
    struct former *former = author ? NULL : formers_by_uuid(&s->formers, uuid);
    if (!former)
        return author;
    former->is_away = false;
    sched_engine_init(s, room, former->uuid, false, false);
    room->number = former->number;
    return room;
}

bool sched_knew(const struct sched *s, struct slice uuid)
{
    return formers_by_uuid(&s->formers, uuid);
}

/* A reply that tells nothing counts as success: such are kernel_info_reply and its like. Of a
 * task that nobody wants any more the first answer is the last. */
static enum task_event read_outcome(struct slice metadata, const struct task *t)
{
    struct jfield f[] = {{.key = "status"}, {.key = "dependencies_met"}};
    bool is_met;
    if (jscan(metadata, f, 2) == 0) {
        if (jscan_bool(&f[1], &is_met) == 0 && !is_met)
            return TE_UNMET;
        if (f[0].type != J_ABSENT && !slice_is(f[0].raw, "ok"))
            return t->retries && !t->is_unwanted ? TE_RETRY : TE_ERROR;
    }
    return TE_OK;
}

int sched_reply(struct sched *s, struct sched_engine *e, const struct msg *m,
                const struct jfield *session)
{
    struct parts p;
    char buf[ID_MAX];
    struct slice id;
    struct jfield parent = {.key = "msg_id"};
    int rc = admit(s, m, &p);
    if (rc < 0)
        return rc;
    struct sched_engine room, *author = find_author(s, e, p.header, session, &room);
    if (!author || p.n_idents == 0 || jscan_one(p.parent, &parent) < 0 ||
        jscan_string(&parent, buf, sizeof(buf), &id) < 0) {
        s->counts.dropped_bad++;
        return author ? ERSA_EPARSE : ERSA_ENOENT;
    }
    sched_engine_back(author);
    struct task *t = map_get(&s->tasks, id.data, id.len);
    if (!t) {
        s->counts.late_replies++;
        return 0;
    }
    struct verdict v = {.engine = author, .reply = m, .parts = &p};
    enum task_event ev = read_outcome(p.metadata, t);
    if (ev == TE_UNMET && s->policy->ops->is_relay)
        ev = TE_ERROR;
    bool is_its = task_is_at(t, author);
    if (!is_its && (ev != TE_OK || t->state == TASK_SPENT || t->state == TASK_WAITING)) {
        s->counts.late_replies++;
        return 0;
    }
    s->counts.late_replies += t->state == TASK_SPENT;
    if (is_its)
        pace_answered(s, author, &p);
    task_event(s, t, is_its ? ev : TE_ELSEWHERE, &v);
    sched_settle(s);
    sched_engine_eased(s, author);
    return 0;
}

void sched_begun(struct sched *s, struct sched_engine *e, struct slice msg_id)
{
    struct task *t = map_get(&s->tasks, msg_id.data, msg_id.len);
    if (!task_is_at(t, e))
        return;
    t->begun = true;
    sched_engine_back(e);
}

void sched_abort(struct sched *s, const struct slice *msg_ids, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct task *t = map_get(&s->tasks, msg_ids[i].data, msg_ids[i].len);
        if (!t)
            continue;
        t->is_unwanted = true;
        struct terms *terms = t->where == AT_ENGINE ? NULL : terms_of(s, t);
        if (terms)
            sched_decide(s, terms);
    }
    sched_settle(s);
}

/* Looking in */

const struct sched_counts *sched_counts(const struct sched *s)
{
    return &s->counts;
}
