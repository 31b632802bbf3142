/* SPDX-License-Identifier: BSD-3-Clause */
/* Dispatch of queries, errors, and the answer: one mail with the reply's type, the request's
 * header as its parent, the content and the buffers. */
#include "records/query.h"

#include <stdlib.h>

#include "records/answers.h"
#include "util/err.h"
#include "wire/json.h"
#include "wire/reply.h"

#define ANSWER_MAX ((size_t)64 << 20) /* octets of content and buffers together, */
#define ONE_MAX ((size_t)2 << 30)     /* but one record may always be had */
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
    if (rc == ERSA_EFULL && !(err && err->text[0]))
        text =
            "the answer would be larger than 64 MiB: ask for fewer records at a time, or, by "
            "keys, for fewer of their fields";
    if (rc == ERSA_ENOENT)
        return query_fail_key(q, text);
    if (rc == ERSA_EIO && q->r->st->is_broken)
        return query_fail(q, "StoreBroken", text);
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
    if (buffer.len > ONE_MAX - q->buffer_bytes)
        return ERSA_EFULL;
    q->buffer_bytes += buffer.len;
    q->buffers[q->n_buffers++] = buffer;
    return 0;
}

int query_count_item(struct query *q)
{
    bool is_large = q->body.len + q->buffer_bytes > ANSWER_MAX;
    return ++q->n_items > 1 && is_large ? ERSA_EFULL : 0;
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

/* What is large travels by reference as far as the socket. */

static void on_release(struct block *b)
{
    free(b->data);
    free(b);
}

/* Takes `memory`; NULL when there is none, or none for the block. */
static struct block *block_of(void *memory, size_t len)
{
    struct block *b = memory ? calloc(1, sizeof(*b)) : NULL;
    if (b)
        block_wrap(b, memory, len, on_release);
    else
        free(memory);
    return b;
}

/* The store's octets last only until it changes, so a large buffer is copied, once. */
static int put_frame(struct frame *f, struct slice s)
{
    *f = frame_from(s.data, s.len);
    if (s.len < WIRE_COPY_MAX)
        return 0;
    void *copy = malloc(s.len);
    if (copy)
        memcpy(copy, s.data, s.len);
    f->block = block_of(copy, s.len);
    if (!f->block)
        return ERSA_ENOMEM;
    f->data = f->block->data;
    return 0;
}

/* The body becomes a block as it is. */
static int put_body(struct frame *f, struct buf *body)
{
    *f = frame_from((const char *)body->data, body->len);
    if (body->len < WIRE_COPY_MAX)
        return 0;
    f->block = block_of(body->data, body->len);
    buf_init(body, body->max);
    return f->block ? 0 : ERSA_ENOMEM;
}

static struct mail *make_answer(struct query *q, struct buf *body, unsigned n_buffers)
{
    unsigned n = 3 + n_buffers;
    struct frame *frames = calloc(n, sizeof(*frames));
    if (!frames)
        return NULL;
    frames[0] = frame_from(q->reply_type, strlen(q->reply_type));
    frames[1] = frame_from(q->parts.header.data, q->parts.header.len);
    int rc = put_body(&frames[2], body);
    for (unsigned i = 0; i < n_buffers && rc == 0; i++)
        rc = put_frame(&frames[3 + i], q->buffers[i]);
    struct mail *answer = rc < 0 ? NULL
                                 : mail_new(NULL, &(struct letter){.type = MAIL_ANSWER,
                                                                   .peer = q->mail->peer,
                                                                   .frames = frames,
                                                                   .n = n});
    for (unsigned i = 0; i < n; i++)
        block_unref(frames[i].block);
    free(frames);
    return answer;
}

static void send_answer(struct query *q)
{
    struct mail *answer = NULL;
    if (!q->error) {
        answer = make_answer(q, &q->body, q->n_buffers);
        if (!answer)
            query_fail_store(q, ERSA_ENOMEM, NULL);
    }
    if (!answer) {
        char *text = json_text(q->error);
        buf_reset(&q->body);
        if (text && buf_puts(&q->body, text) == 0)
            answer = make_answer(q, &q->body, 0);
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
    if (atomic_load(&r->is_ending)) /* the end waits for nothing that nobody reads */
        return;
    if (!m->msg || parts_split(m->msg->frames, m->msg->n, &q.parts) < 0 ||
        jscan(q.parts.header, &f, 1) < 0 || jscan_string(&f, buf, sizeof(buf), &type) < 0)
        return; /* the router has seen to it that there is a header */
    buf_init(&q.body, ONE_MAX);
    q.content = json_parse(q.parts.content, NULL);
    handle(&q, type);
    send_answer(&q);
    buf_fini(&q.body);
    free(q.buffers);
    json_decref(q.content);
    json_decref(q.error);
}
