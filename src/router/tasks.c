/* SPDX-License-Identifier: BSD-3-Clause */
/* Carries messages between the task ports and the scheduler. The scheduler verifies and
 * decides; here frames get their envelopes, records hear what happened before a client does,
 * and an engine's notes (extensions.md 4 and 7) are told from its replies. */
#include "router/tasks.h"

#include <stdlib.h>
#include <string.h>

#include "wire/caps.h"
#include "router/core.h"
#include "router/direct.h"
#include "util/log.h"
#include "wire/jscan.h"
#include "wire/json.h"

#define ID_MAX 512
#define RECALLED_MAX 1024 /* ids in one message: more than a window holds */

static struct engine *engine_of(struct sched_engine *e)
{
    return container_of(e, struct engine, task);
}

static void to_engine(void *ctx, struct sched_engine *e, const struct frame *frames, unsigned n)
{
    struct router *r = ctx;
    direct_to_engine(engine_of(e), CH_TASK, frames, n, r->task_source);
}

static void to_client(void *ctx, struct slice client, const struct frame *frames, unsigned n,
                      struct sched_engine *source)
{
    struct router *r = ctx;
    struct link *to = ports_find(r, RT_TASK_CLIENT, client);
    if (to)
        link_send(to, frames, n,
                  source ? engine_link(engine_of(source), CH_TASK) : r->task_source);
}

static bool is_aborted(struct slice metadata)
{
    struct jfield status = {.key = "status"};
    return memmem(metadata.data, metadata.len, "aborted", strlen("aborted")) &&
           jscan(metadata, &status, 1) == 0 && slice_is(status.raw, "aborted");
}

static void on_event(void *ctx, enum sched_event ev, struct slice msg_id,
                     struct slice engine_uuid, const struct parts *m)
{
    static const enum mail_type types[] = {
        [TASK_SUBMITTED] = MAIL_REQUEST,
        [TASK_ASSIGNED] = MAIL_ASSIGNED,
        [TASK_SUCCEEDED] = MAIL_RESULT,
        [TASK_ENDED] = MAIL_RESULT,
    };
    struct router *r = ctx;
    struct letter letter = {
        .type = types[ev], .queue = 't', .msg_id = msg_id, .engine = engine_uuid};
    if (ev != TASK_ASSIGNED) {
        letter.frames = m->wire;
        letter.n = m->n_wire;
    }
    mailer_post(r, &letter, r->task_source);
    bool has_run = ev == TASK_SUCCEEDED ||
                   (ev == TASK_ENDED && engine_uuid.len && !is_aborted(m->metadata));
    struct engine *e = has_run ? registry_by_uuid(&r->registry, engine_uuid) : NULL;
    if (e)
        ledger_complete(e, msg_id);
}

const struct sched_ops tasks_ops = {
    .to_engine = to_engine,
    .to_client = to_client,
    .event = on_event,
};

/* What engines tell the scheduler beside replies. False: it makes no sense. */

static bool on_begun(struct link *l, const struct parts *p)
{
    struct jfield id = {.key = "msg_id"};
    char buf[ID_MAX];
    struct slice msg_id;
    if (jscan_one(p->parent, &id) < 0 || jscan_string(&id, buf, sizeof(buf), &msg_id) < 0)
        return false;
    sched_begun(l->router->sched, &l->engine->task, msg_id);
    return true;
}

static bool on_recalled(struct link *l, const struct parts *p)
{
    struct slice list[RECALLED_MAX];
    unsigned n = 0;
    json_t *content = json_parse(p->content, NULL);
    const json_t *ids = json_object_get(content, "msg_ids");
    bool is_list = json_is_array(ids) && json_array_size(ids) <= RECALLED_MAX;
    for (size_t i = 0; is_list && i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        if (json_is_string(id))
            list[n++] = (struct slice){json_string_value(id), json_string_length(id)};
    }
    if (is_list)
        sched_recalled(l->router->sched, &l->engine->task, list, n);
    json_decref(content);
    return is_list;
}

static bool on_free(struct link *l, const struct parts *p)
{
    sched_engine_back(&l->engine->task);
    return true;
}

static const struct note {
    const char *type;
    unsigned cap;
    bool (*take)(struct link *l, const struct parts *p);
} notes[] = {
    {"ersa_begun", CAP_begun, on_begun},
    {"ersa_recalled", CAP_recall, on_recalled},
    {"ersa_free", CAP_recall, on_free},
};

static const struct note *find_note(const struct jfield *msg_type)
{
    for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
        if (slice_is(msg_type->raw, notes[i].type))
            return &notes[i];
    return NULL;
}

/* One of an earlier run may not have announced here what it tells. It is no reply for all that.
 */
static void take_note(struct link *l, const struct msg *m, const struct note *note)
{
    struct parts p;
    if (l->engine && l->engine->caps & note->cap && link_admit(l, m->frames, m->n, &p) &&
        !note->take(l, &p))
        link_reject(l, REJECT_HEADER);
}

static bool is_probe(const struct msg *m)
{
    return m->n == 1 && m->frames[0].len == 0;
}

void tasks_from_client(struct link *l, const struct msg *m)
{
    struct router *r = l->router;
    if (is_probe(m))
        return;
    r->task_source = l;
    link_reject_error(l, sched_submit(r->sched, link_identity(l), m));
    r->task_source = NULL;
}

/* Nobody has this identity: those that begin with 0 are given by the port itself. */
#define RESUBMITTER SLICE_LIT("\0resubmitted")

void tasks_resubmit(struct router *r, const struct mail *m)
{
    static const struct frame empty = FRAME_LIT("{}");
    char signature[SESSION_SIGNATURE_MAX];
    if (!m->msg || m->msg->n < 2)
        return;
    const struct frame *f = m->msg->frames;
    unsigned n = m->msg->n + 4;
    struct frame *all = calloc(n, sizeof(*all));
    if (!all)
        return;
    struct slice header = frame_slice(&f[0]);
    size_t len = session_sign(r->session, header, header, frame_slice(&empty),
                              frame_slice(&f[1]), signature);
    all[0] = (struct frame)FRAME_LIT("<IDS|MSG>");
    all[1] = (struct frame){(const uint8_t *)signature, len, NULL};
    all[2] = all[3] = f[0];
    all[4] = empty;
    memcpy(all + 5, f + 1, (m->msg->n - 1) * sizeof(*all));
    int rc = sched_submit(r->sched, RESUBMITTER, &(struct msg){all, n});
    if (rc < 0)
        log_error("task::%.*s was not submitted again: %s", SLICE_FMT(m->msg_id),
                  ersa_strerror(rc));
    free(all);
}

void tasks_from_engine(struct link *l, const struct msg *m)
{
    struct router *r = l->router;
    if (is_probe(m))
        return;
    if (!l->engine && !sched_knew(r->sched, link_identity(l))) {
        link_reject(l, REJECT_STRANGER);
        return;
    }
    struct parts p;
    struct jfield f[] = {{.key = "msg_type"}, {.key = "session"}};
    bool is_read = parts_split(m->frames, m->n, &p) == 0 && jscan(p.header, f, 2) == 0;
    const struct note *note = is_read ? find_note(&f[0]) : NULL;
    if (note) {
        take_note(l, m, note);
        return;
    }
    r->task_source = l;
    struct sched_engine *e = l->engine ? &l->engine->task : NULL;
    link_reject_error(l, sched_reply(r->sched, e, m, is_read ? &f[1] : NULL));
    r->task_source = NULL;
}
