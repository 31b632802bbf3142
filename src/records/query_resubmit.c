/* SPDX-License-Identifier: BSD-3-Clause */
/* resubmit_request (controller.md 14.8): each record's request goes to the task scheduler
 * again, under a new id and date and without metadata. The new records are there before the
 * client hears of them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "records/answers.h"
#include "records/query.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/rand.h"
#include "wire/json.h"
#include "wire/reply.h"

#define REQUEST (STORE_FIELD(F_header) | STORE_FIELD(F_content) | STORE_FIELD(F_buffers))

static struct slice string_of(const json_t *j)
{
    return (struct slice){json_string_value(j), json_string_length(j)};
}

/* What is missing in a record that its request can't be made of; NULL: nothing. A function is
 * never without buffers, so they were dropped for want of room (store.h). */
static const char *lacks(const struct store_record *rec)
{
    struct jfield type = {.key = "msg_type"};
    if (store_is_null(rec, F_header) || jscan(rec->v[F_header].text, &type, 1) < 0)
        return "there is no request in the record";
    if (store_is_null(rec, F_content))
        return "the record was kept without the request's content, which can't be sent again";
    bool is_empty = store_is_null(rec, F_buffers) || rec->v[F_buffers].binary.n == 0;
    if (is_empty && slice_is(type.raw, "apply_request"))
        return "the record was kept without the request's buffers, which can't be sent again";
    return NULL;
}

/* The ids that have no record; an id that is named twice is refused too, and so are all when
 * one of them can't be sent. */
static int check_resubmit(struct query *q, const json_t *ids)
{
    json_t *seen = json_object(), *invalid = json_array(), *id;
    struct ersa_error err = {0};
    struct store_record rec;
    size_t i;
    bool is_twice = false;
    const char *lack = NULL;
    int rc = 0;
    json_array_foreach(ids, i, id)
    {
        const char *text = json_string_value(id);
        rc = text ? q->r->st->ops->get(q->r->st, string_of(id), REQUEST, &rec, &err)
                  : ERSA_ENOENT;
        if (rc < 0 && rc != ERSA_ENOENT)
            break;
        if (rc == ERSA_ENOENT)
            json_array_append(invalid, id);
        else if (!lack)
            lack = lacks(&rec);
        rc = 0;
        if (text && json_object_get(seen, text))
            is_twice = true;
        else if (text)
            json_object_set_new(seen, text, json_null());
    }
    if (rc < 0) {
        query_fail_store(q, rc, &err);
    } else if (is_twice || json_array_size(invalid)) {
        buf_puts(&q->body, "No such msg(s): [");
        json_array_foreach(invalid, i, id)
        {
            buf_puts(&q->body, i ? ", " : "");
            put_repr_json(&q->body, id);
        }
        buf_putc(&q->body, ']');
        const char *text = buf_cstr(&q->body);
        rc = query_fail_key(q, text ? text : "No such msg(s)");
    } else if (lack) {
        rc = query_fail(q, "ValueError", lack);
    }
    json_decref(seen);
    json_decref(invalid);
    return rc;
}

/* The copy of one request. */
struct copy {
    char id[RAND_SESSION_ID_LEN + 48];
    char *header; /* owned */
    int64_t date;
};

/* The old header but for the id and the date. */
static int make_header(struct records *r, const struct store_record *old, struct copy *ret)
{
    char date[CLOCK_ISO_MAX];
    json_t *header =
        store_is_null(old, F_header) ? NULL : json_parse(old->v[F_header].text, NULL);
    if (!json_is_object(header)) {
        json_decref(header);
        return ERSA_EINVAL;
    }
    if (!r->own_session[0])
        rand_session_id(r->own_session);
    snprintf(ret->id, sizeof(ret->id), "%s_%d_%llu", r->own_session, (int)getpid(),
             (unsigned long long)r->n_resubmitted++);
    ret->date = clock_utc_us();
    clock_iso(ret->date, date);
    json_object_set_new(header, "msg_id", json_string(ret->id));
    json_object_set_new(header, "date", json_string(date));
    ret->header = json_text(header);
    json_decref(header);
    return ret->header ? 0 : ERSA_ENOMEM;
}

static struct slice text_or(const struct store_record *rec, enum store_field f,
                            struct slice otherwise)
{
    return store_is_null(rec, f) ? otherwise : rec->v[f].text;
}

/* Its frames: header, content, buffers. */
static struct mail *make_mail(const struct store_record *old, const struct copy *c)
{
    struct slice content = text_or(old, F_content, SLICE_LIT("{}"));
    unsigned n = store_is_null(old, F_buffers) ? 0 : old->v[F_buffers].binary.n;
    struct frame *frames = calloc(2 + (size_t)n, sizeof(*frames));
    if (!frames)
        return NULL;
    frames[0] = (struct frame){(const uint8_t *)c->header, strlen(c->header), NULL};
    frames[1] = (struct frame){(const uint8_t *)content.data, content.len, NULL};
    for (unsigned i = 0; i < n; i++) {
        struct slice item = old->v[F_buffers].binary.items[i];
        frames[2 + i] = (struct frame){(const uint8_t *)item.data, item.len, NULL};
    }
    struct mail *m = mail_new(NULL, &(struct letter){.type = MAIL_RESUBMIT,
                                                     .msg_id = {c->id, strlen(c->id)},
                                                     .frames = frames,
                                                     .n = 2 + n});
    free(frames);
    return m;
}

/* The frames are in `mail` by now, so that the store may change. */
static void put_record(struct records *r, const struct mail *mail, const struct copy *c)
{
    const struct frame *f = mail->msg->frames;
    struct jfield session = {.key = "session"};
    struct store_record rec = {.set = 0};
    set_text(&rec, F_msg_id, mail->msg_id);
    set_text(&rec, F_header, frame_slice(&f[0]));
    set_text(&rec, F_metadata, SLICE_LIT("{}"));
    set_text(&rec, F_content, frame_slice(&f[1]));
    const struct slice *buffers = slices_of(r, f + 2, mail->msg->n - 2);
    set_binary(&rec, F_buffers, buffers, buffers ? mail->msg->n - 2 : 0);
    set_date(&rec, F_submitted, c->date);
    if (jscan(frame_slice(&f[0]), &session, 1) == 0 && session.type == J_STRING)
        set_text(&rec, F_client_uuid, session.raw);
    seen_set(&r->seen, mail->msg_id, SEEN_OPEN);
    records_put(r, &rec);
}

static int resubmit(struct query *q, struct slice id, bool is_later)
{
    struct records *r = q->r;
    struct store_record old, mark = {.set = 0};
    struct ersa_error err = {0};
    struct copy copy = {.header = NULL};
    int rc = r->st->ops->get(r->st, id, REQUEST, &old, &err);
    if (rc < 0)
        return query_fail_store(q, rc, &err);
    rc = make_header(r, &old, &copy);
    if (rc < 0)
        return rc == ERSA_EINVAL
                   ? query_fail(q, "ValueError", "there is no request in the record")
                   : rc;
    struct mail *mail = make_mail(&old, &copy);
    free(copy.header);
    if (!mail)
        return ERSA_ENOMEM;
    put_record(r, mail, &copy);
    set_text(&mark, F_msg_id, id);
    set_text(&mark, F_resubmitted, mail->msg_id);
    records_update(r, &mark);
    records_answer(r, mail);
    rc = is_later ? buf_puts(&q->body, ", ") : 0;
    if (rc == 0)
        rc = buf_put_json(&q->body, id.data, id.len);
    return rc < 0 ? rc : buf_printf(&q->body, ": \"%s\"", copy.id);
}

int query_resubmit(struct query *q)
{
    const json_t *ids = json_object_get(q->content, "msg_ids");
    size_t i;
    json_t *id;
    if (!ids)
        return query_fail_missing(q, "msg_ids");
    if (!json_is_array(ids))
        return query_fail(q, "TypeError", "msg_ids must be a list");
    int rc = check_resubmit(q, ids);
    if (rc == 0)
        rc = buf_puts(&q->body, "{\"status\": \"ok\", \"resubmitted\": {");
    json_array_foreach(ids, i, id)
    {
        if (rc == 0)
            rc = resubmit(q, string_of(id), i > 0);
    }
    return rc < 0 ? rc : buf_puts(&q->body, "}}");
}
