/* SPDX-License-Identifier: BSD-3-Clause */
/* Dispatch of queries, errors, and the answer: one mail with the reply's type, the request's
 * header as its parent, the content and the buffers. */
#include "records/query.h"

#include <stdlib.h>

#include "util/err.h"
#include "wire/json.h"
#include "wire/reply.h"

#define ANSWER_MAX ((size_t)2 << 30) /* octets of content, and of buffers */
#define FULL_TEXT_MAX 1024

/* Errors */

int query_fail(struct query *q, const char *ename, const char *evalue)
{
    if (!q->error)
        q->error = error_content(ename, evalue);
    return ERSA_EINVAL;
}

int query_fail_key(struct query *q, const char *message)
{
    if (!q->error)
        q->error = error_content_key(message);
    return ERSA_EINVAL;
}

int query_fail_hub(struct query *q, const char *ename, const char *evalue)
{
    q->reply_type = "hub_error";
    return query_fail(q, ename, evalue);
}

int query_fail_missing(struct query *q, const char *key)
{
    q->reply_type = "hub_error";
    return query_fail_key(q, key);
}

int query_fail_full(struct query *q)
{
    struct buf text;
    buf_init(&text, FULL_TEXT_MAX);
    buf_printf(&text,
               "the %s store of task records is full, changes wait until it has room%s%s; ask "
               "again then",
               q->r->st->ops->name, q->r->why.text[0] ? ": " : "", q->r->why.text);
    const char *evalue = buf_cstr(&text);
    query_fail(q, "StoreFull", evalue ? evalue : "the store of task records is full");
    buf_fini(&text);
    return ERSA_EFULL;
}

int query_fail_store(struct query *q, int rc, const struct ersa_error *err)
{
    static const struct {
        int code;
        const char *ename;
    } names[] = {
        {ERSA_EUNSUPPORTED, "NoData"},
        {ERSA_EINVAL, "TypeError"},
        {ERSA_ENOMEM, "MemoryError"},
        {ERSA_EFULL, "OverflowError"},
    };
    const char *text = err && err->text[0] ? err->text : ersa_strerror(rc);
    if (rc == ERSA_ENOENT)
        return query_fail_key(q, text);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].code == rc)
            return query_fail(q, names[i].ename, text);
    return query_fail(q, "RuntimeError", text);
}

/* Buffers */

int query_add_buffer(struct query *q, struct slice buffer)
{
    if (q->n_buffers == q->cap_buffers) {
        unsigned cap = q->cap_buffers ? 2 * q->cap_buffers : 16;
        struct slice *grown = reallocarray(q->buffers, cap, sizeof(*grown));
        if (!grown)
            return ERSA_ENOMEM;
        q->buffers = grown;
        q->cap_buffers = cap;
    }
    if (buffer.len > ANSWER_MAX - q->buffer_bytes)
        return ERSA_EFULL;
    q->buffer_bytes += buffer.len;
    q->buffers[q->n_buffers++] = buffer;
    return 0;
}

int query_add_binary(struct query *q, const struct store_record *rec, enum store_field f)
{
    int rc = 0;
    if (store_is_null(rec, f))
        return 0;
    for (unsigned i = 0; i < rec->v[f].binary.n && rc == 0; i++)
        rc = query_add_buffer(q, rec->v[f].binary.items[i]);
    return rc;
}

/* Answers */

static struct frame frame_from(const char *data, size_t len)
{
    return (struct frame){(const uint8_t *)data, len, NULL};
}

static struct mail *make_answer(const struct query *q, const char *content, size_t content_len,
                                unsigned n_buffers)
{
    struct frame *frames = calloc(3 + (size_t)n_buffers, sizeof(*frames));
    if (!frames)
        return NULL;
    frames[0] = frame_from(q->reply_type, strlen(q->reply_type));
    frames[1] = frame_from(q->parts.header.data, q->parts.header.len);
    frames[2] = frame_from(content, content_len);
    for (unsigned i = 0; i < n_buffers; i++)
        frames[3 + i] = frame_from(q->buffers[i].data, q->buffers[i].len);
    struct mail *answer = mail_new(NULL, &(struct letter){.type = MAIL_ANSWER,
                                                          .peer = q->mail->peer,
                                                          .frames = frames,
                                                          .n = 3 + n_buffers});
    free(frames);
    return answer;
}

static void send_answer(struct query *q)
{
    struct mail *answer = NULL;
    if (!q->error) {
        answer = make_answer(q, (const char *)q->body.data, q->body.len, q->n_buffers);
        if (!answer)
            query_fail_store(q, ERSA_ENOMEM, NULL);
    }
    if (!answer) {
        char *text = json_text(q->error);
        if (text)
            answer = make_answer(q, text, strlen(text), 0);
        free(text);
    }
    if (answer) {
        records_answer(q->r, answer);
        return;
    }
    struct ersa_error err = {0};
    err_set(&err, ERSA_ENOMEM, "a %s was not sent: out of memory", q->reply_type);
    records_complain(q->r, &err);
}

/* Requests */

static const struct {
    const char *msg_type, *reply_type;
    int (*handle)(struct query *q);
    bool is_sure; /* answers what is certain also while the store is full */
} handlers[] = {
    {"result_request", "result_reply", query_result, true},
    {"history_request", "history_reply", query_history, false},
    {"db_request", "db_reply", query_db, false},
    {"purge_request", "purge_reply", query_purge, false},
    {"resubmit_request", "resubmit_reply", query_resubmit, false},
};

static void handle(struct query *q, struct slice type)
{
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (!slice_is(type, handlers[i].msg_type))
            continue;
        q->reply_type = handlers[i].reply_type;
        if (!json_is_object(q->content)) {
            query_fail_hub(q, "TypeError", "the content is not a JSON object");
            return;
        }
        if (q->r->is_held && !handlers[i].is_sure) {
            query_fail_full(q);
            return;
        }
        int rc = handlers[i].handle(q);
        if (rc < 0 && !q->error)
            query_fail_store(q, rc, NULL);
        return;
    }
    query_fail_hub(q, "KeyError", "'Bad Message Type'");
}

void query_on_mail(struct records *r, const struct mail *m)
{
    struct query q = {.r = r, .mail = m, .reply_type = "hub_error"};
    struct jfield f = {.key = "msg_type"};
    char buf[ID_MAX];
    struct slice type;
    if (!m->msg || parts_split(m->msg->frames, m->msg->n, &q.parts) < 0 ||
        jscan(q.parts.header, &f, 1) < 0 || jscan_string(&f, buf, sizeof(buf), &type) < 0)
        return; /* the router has seen to it that there is a header */
    buf_init(&q.body, ANSWER_MAX);
    q.content = json_parse(q.parts.content, NULL);
    handle(&q, type);
    send_answer(&q);
    buf_fini(&q.body);
    free(q.buffers);
    json_decref(q.content);
    json_decref(q.error);
}
