/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests, assignments and results become records (db.md 1.1, controller.md 12). Of their JSON
 * only the fields that a record has of its own are read, and no further than they reach: the
 * router has read all of it; members are stored as they came and looked at when somebody asks.
 */
#include <stdlib.h>

#include "records/core.h"
#include "util/clock.h"
#include "wire/json.h"
#include "wire/reply.h"

/* The date in a field, or `otherwise`. */
static int64_t date_of(const struct jfield *f, int64_t otherwise)
{
    char buf[CLOCK_ISO_MAX + 8];
    struct slice text;
    int64_t date;
    if (jscan_string(f, buf, sizeof(buf), &text) < 0 ||
        clock_parse_iso(text.data, text.len, &date) < 0)
        return otherwise;
    return date;
}

static bool split(const struct mail *m, struct parts *ret)
{
    return m->msg && parts_split(m->msg->frames, m->msg->n, ret) == 0;
}

/* What the request was before: only an open one is closed. */
static enum seen_state close_task(struct records *r, struct slice msg_id)
{
    enum seen_state was = seen_get(&r->seen, msg_id);
    if (was == SEEN_OPEN)
        seen_set(&r->seen, msg_id, SEEN_OK);
    return was;
}

/* Such a record keeps when, by whom and with what it was submitted first (db.md 1.1). */
static bool is_resubmitted(struct records *r, struct slice msg_id)
{
    struct store_record old;
    return r->st->ops->get(r->st, msg_id, STORE_FIELD(F_resubmitted), &old, NULL) == 0 &&
           !store_is_null(&old, F_resubmitted);
}

void tasks_on_request(struct records *r, const struct mail *m)
{
    struct parts p;
    bool is_known = seen_get(&r->seen, m->msg_id) != SEEN_NEVER;
    seen_set(&r->seen, m->msg_id, SEEN_OPEN);
    if (!r->keeps || !split(m, &p))
        return;
    struct jfield header[] = {{.key = "date"}, {.key = "session"}}, label = {.key = "label"};
    char session_buf[ID_MAX];
    struct slice session = {NULL, 0}, label_text;
    jscan_some(p.header, header, 2);
    jscan_some(p.metadata, &label, 1);
    if (jscan_string(&header[1], session_buf, sizeof(session_buf), &session) < 0)
        session.data = NULL;
    const struct slice *buffers = slices_of(r, p.buffers, p.n_buffers);
    struct store_record rec;
    rec.set = 0; /* and no more of it */
    set_text(&rec, F_msg_id, m->msg_id);
    set_text(&rec, F_header, p.header);
    set_text(&rec, F_metadata, p.metadata);
    set_text(&rec, F_content, p.content);
    set_binary(&rec, F_buffers, buffers, buffers ? p.n_buffers : 0);
    set_date(&rec, F_submitted, date_of(&header[0], m->now_us));
    set_text(&rec, F_client_uuid, session);
    if (m->queue == 'm')
        set_text(&rec, F_engine_uuid, m->engine);
    set_text(&rec, F_queue, m->queue == 'm' ? SLICE_LIT("mux") : SLICE_LIT("task"));
    if (records_text(r, &label, &label_text))
        set_text(&rec, F_label, label_text);
    if (is_known && is_resubmitted(r, m->msg_id))
        rec.set &=
            ~(STORE_FIELD(F_submitted) | STORE_FIELD(F_client_uuid) | STORE_FIELD(F_buffers));
    records_put(r, &rec);
}

void tasks_on_assigned(struct records *r, const struct mail *m)
{
    if (!r->keeps)
        return;
    struct store_record rec;
    rec.set = 0; /* and no more of it */
    set_text(&rec, F_msg_id, m->msg_id);
    set_text(&rec, F_engine_uuid, m->engine);
    records_update(r, &rec);
}

/* A late direct reply corrects an early verdict; of a task only the first reply counts. */
void tasks_on_result(struct records *r, const struct mail *m)
{
    struct parts p;
    enum seen_state was = close_task(r, m->msg_id);
    if (was == SEEN_NEVER || (was == SEEN_OK && m->queue != 'm') || !r->keeps || !split(m, &p))
        return;
    struct jfield date = {.key = "date"}, started = {.key = "started"};
    jscan_some(p.header, &date, 1);
    jscan_some(p.metadata, &started, 1);
    const struct slice *buffers = slices_of(r, p.buffers, p.n_buffers);
    int64_t begun = date_of(&started, STORE_DATE_UNSET);
    struct store_record rec;
    rec.set = 0; /* and no more of it */
    set_text(&rec, F_msg_id, m->msg_id);
    set_text(&rec, F_engine_uuid, m->engine.data ? m->engine : SLICE_LIT(""));
    if (begun != STORE_DATE_UNSET)
        set_date(&rec, F_started, begun);
    set_date(&rec, F_completed, date_of(&date, m->now_us));
    set_date(&rec, F_received, m->now_us);
    set_text(&rec, F_result_header, p.header);
    set_text(&rec, F_result_metadata, p.metadata);
    set_text(&rec, F_result_content, p.content);
    set_binary(&rec, F_result_buffers, buffers, buffers ? p.n_buffers : 0);
    records_update(r, &rec);
}

/* Its type is that of the reply which did not come. */
static json_t *lost_header(struct records *r, const struct mail *m)
{
    struct store_record request;
    struct jfield f = {.key = "msg_type"};
    char type_buf[ID_MAX], reply[MSG_TYPE_MAX] = "apply_reply", date[CLOCK_ISO_MAX];
    struct slice type;
    if (r->st->ops->get(r->st, m->msg_id, STORE_FIELD(F_header), &request, NULL) == 0 &&
        !store_is_null(&request, F_header) && jscan(request.v[F_header].text, &f, 1) == 0 &&
        jscan_string(&f, type_buf, sizeof(type_buf), &type) == 0)
        reply_type(type, reply);
    clock_iso(m->now_us, date);
    return json_pack("{s:s, s:o, s:s}", "msg_type", reply, "engine", json_lossy(m->engine),
                     "date", date);
}

static json_t *lost_content(struct records *r, const struct mail *m)
{
    buf_reset(&r->text);
    buf_printf(&r->text, "Engine %.*s died while running task '%.*s'", SLICE_FMT(m->peer),
               SLICE_FMT(m->msg_id));
    const char *sentence = buf_cstr(&r->text);
    return error_content("EngineError", sentence ? sentence : "");
}

void tasks_on_engine_lost(struct records *r, const struct mail *m)
{
    if (close_task(r, m->msg_id) != SEEN_OPEN || !r->keeps || !records_has(r, m->msg_id))
        return;
    json_t *parts[] = {
        lost_header(r, m),
        json_pack("{s:s, s:o}", "status", "error", "engine", json_lossy(m->engine)),
        lost_content(r, m),
    };
    static const enum store_field fields[] = {F_result_header, F_result_metadata,
                                              F_result_content};
    char *texts[3];
    struct store_record rec;
    rec.set = 0; /* and no more of it */
    set_text(&rec, F_msg_id, m->msg_id);
    set_text(&rec, F_engine_uuid, m->engine);
    set_date(&rec, F_completed, m->now_us);
    set_binary(&rec, F_result_buffers, NULL, 0);
    for (int i = 0; i < 3; i++) {
        texts[i] = json_text(parts[i]);
        if (texts[i])
            set_text(&rec, fields[i], (struct slice){texts[i], strlen(texts[i])});
        json_decref(parts[i]);
    }
    records_update(r, &rec);
    for (int i = 0; i < 3; i++)
        free(texts[i]);
}
