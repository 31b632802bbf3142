/* SPDX-License-Identifier: BSD-3-Clause */
/* Queries: admission, dispatch, replies. Without a valid signature there is no answer at all;
 * what is correctly signed and makes no sense is answered with a hub_error. */
#include "router/hub.h"

#include <stdlib.h>
#include <string.h>

#include "router/core.h"
#include "router/notify.h"
#include "router/registration.h"
#include "router/tasks.h"
#include "wire/reply.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/log.h"
#include "wire/jscan.h"
#include "wire/json.h"

#define TEXT_MAX 512
#define ENVELOPE_MAX 65536
#define ENGINES_MAX (16 << 20)
#define SHUTDOWN_MS 1000
#define IDENTS_MAX 64

/* Handlers */

static void on_shutdown_request(struct query *q)
{
    struct router *r = q->r;
    log_critical("hub::Shutting down on the request of a client");
    hub_reply(q, "shutdown_reply", json_pack("{s:s}", "status", "ok"));
    notify(r, "shutdown_notification", q->parent, json_pack("{s:s}", "status", "ok"));
    if (!timer_is_set(&r->hub.shutdown)) /* who asks again and again puts nothing off */
        loop_after(r->loop, &r->hub.shutdown, MS_TO_NS(SHUTDOWN_MS));
}

static void on_become_dask_request(struct query *q)
{
    hub_error(q, "ModuleNotFoundError", "No module named 'distributed'");
}

static void on_stop_distributed_request(struct query *q)
{
    hub_reply(q, "stop_distributed_reply", json_pack("{s:s}", "status", "ok"));
}

/* Where an answer goes that comes later: [kind of link] and each identity frame behind its
 * length. */
static int put_envelope(struct buf *b, const struct query *q)
{
    struct slice id = link_identity(q->link);
    if (q->parts.n_idents > IDENTS_MAX)
        return ERSA_EFULL;
    int rc = buf_putc(b, link_is_attached(q->link) ? 'a' : 'q');
    for (unsigned i = 0; i <= q->parts.n_idents && rc == 0; i++) {
        struct slice s = i == 0 ? id : frame_slice(&q->parts.idents[i - 1]);
        uint32_t len = (uint32_t)s.len;
        rc = buf_append(b, &len, sizeof(len));
        if (rc == 0)
            rc = buf_append(b, s.data, s.len);
    }
    return rc;
}

/* Records doesn't know the engines: a purge_request goes with the uuids behind its ids
 * (mail.h). */
static int put_purged_engines(struct buf *b, const struct query *q)
{
    const json_t *ids = json_object_get(q->content, "engine_ids");
    size_t i;
    json_t *id;
    int rc = 0;
    if (!slice_is(q->msg_type, "purge_request"))
        return 0;
    json_array_foreach(ids, i, id)
    {
        const struct engine *e = json_is_integer(id)
                                     ? registry_by_id(&q->r->registry, json_integer_value(id))
                                     : NULL;
        struct slice uuid = e && engine_is_live(e) ? e->uuid : SLICE_LIT("-");
        if (i && rc == 0)
            rc = buf_putc(b, ' ');
        if (rc == 0)
            rc = buf_append(b, uuid.data, uuid.len);
    }
    return rc;
}

/* One at a time: until records has answered, the peer isn't read. So there is one answer on its
 * way to each, whatever it asks for and whether it reads or not. */
static void await_answer(struct link *l)
{
    if (l->asked++ == 0)
        peer_pause(l->peer);
}

static void note_answer(struct link *l)
{
    if (l->asked && --l->asked == 0)
        peer_resume(l->peer);
}

static void on_records_request(struct query *q)
{
    struct buf envelope, engines;
    if (link_is_attached(q->link) && peer_is_full(q->link->peer)) {
        link_reject(q->link, REJECT_UNREAD); /* what else is on that connection goes on */
        return;
    }
    buf_init(&envelope, ENVELOPE_MAX);
    buf_init(&engines, ENGINES_MAX);
    if (put_envelope(&envelope, q) == 0 && put_purged_engines(&engines, q) == 0) {
        struct letter letter = {
            .type = MAIL_QUERY,
            .msg_id = q->msg_id,
            .engine = {(const char *)engines.data, engines.len},
            .peer = {(const char *)envelope.data, envelope.len},
            .frames = q->parts.wire,
            .n = q->parts.n_wire,
        };
        sched_tell(q->r->sched);
        /* The mailer need not hold it back: it would do so until records reads the ring again,
         * which may be long after the answer, that went aside. */
        if (mailer_post(q->r, &letter, NULL) == 0)
            await_answer(q->link);
    } else {
        hub_error(q, "ValueError", "the envelope or the list of engines is too large");
    }
    buf_fini(&envelope);
    buf_fini(&engines);
}

static const struct {
    const char *msg_type;
    void (*handle)(struct query *q);
} handlers[] = {
    {"registration_request", registration_on_request},
    {"unregistration_request", registration_on_unregister},
    {"ersa_ready", registration_on_ready},
    {"connection_request", registration_on_connection_request},
    {"queue_request", hub_queue_request},
    {"load_request", hub_load_request},
    {"result_request", on_records_request},
    {"history_request", on_records_request},
    {"db_request", on_records_request},
    {"purge_request", on_records_request},
    {"resubmit_request", on_records_request},
    {"shutdown_request", on_shutdown_request},
    {"become_dask_request", on_become_dask_request},
    {"stop_distributed_request", on_stop_distributed_request},
};

/* Admission */

/* The header to be echoed: as it came, or with the two members that old peers leave out. */
static char *complete_header(struct slice header)
{
    json_t *h = json_parse(header, NULL);
    char date[CLOCK_ISO_MAX];
    if (!json_object_get(h, "version"))
        json_object_set_new(h, "version", json_string("5.0"));
    if (!json_object_get(h, "date")) {
        clock_iso(clock_utc_us(), date);
        json_object_set_new(h, "date", json_string(date));
    }
    char *text = json_text(h);
    json_decref(h);
    return text;
}

static void dispatch(struct query *q)
{
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (slice_is(q->msg_type, handlers[i].msg_type)) {
            handlers[i].handle(q);
            return;
        }
    }
    char message[TEXT_MAX + 64];
    struct buf b;
    buf_init(&b, sizeof(message) - 1);
    buf_puts(&b, "Bad Message Type: ");
    put_repr(&b, q->msg_type);
    snprintf(message, sizeof(message), "%.*s", (int)b.len, (const char *)b.data);
    buf_fini(&b);
    hub_error_key(q, message);
}

void hub_on_message(struct link *l, const struct msg *m)
{
    struct router *r = l->router;
    struct query q = {.r = r, .link = l};
    if (!link_admit(l, m->frames, m->n, &q.parts))
        return;
    if (r->hub.replay && replay_check(r->hub.replay, q.parts.signature) < 0) {
        link_reject(l, REJECT_REPLAY);
        return;
    }
    struct jfield f[] = {
        {.key = "msg_id"}, {.key = "msg_type"}, {.key = "date"}, {.key = "version"}};
    char id[TEXT_MAX], type[TEXT_MAX];
    int rc = jscan(q.parts.header, f, 4);
    if (rc == 0)
        q.parent = q.parts.header;
    if (rc < 0 || jscan_string(&f[0], id, TEXT_MAX, &q.msg_id) < 0 ||
        jscan_string(&f[1], type, TEXT_MAX, &q.msg_type) < 0) {
        link_reject(l, REJECT_HEADER);
        hub_error(
            &q, "ValueError",
            "Invalid Message: the header is no object with msg_id and msg_type of at most "
            "512 octets");
        return;
    }
    CLEANUP(free_ptr) char *completed = NULL;
    if (f[2].type == J_ABSENT || f[3].type == J_ABSENT) {
        completed = complete_header(q.parts.header);
        if (completed)
            q.parent = (struct slice){completed, strlen(completed)};
    }
    struct slice who = link_identity(l);
    log_info("client::client b'%.*s' requested '%.*s'",
             who.len && who.data[0] ? (int)who.len : 0, who.data, SLICE_FMT(q.msg_type));
    struct ersa_error err = {0};
    q.content = json_parse(q.parts.content, &err);
    if (json_is_object(q.content)) {
        dispatch(&q);
    } else if (err.code == ERSA_EFULL) {
        link_reject(l, REJECT_HEADER);
        hub_error(&q, "OverflowError", err.text);
    } else {
        link_reject(l, REJECT_HEADER);
        hub_error(&q, q.content ? "TypeError" : "ValueError",
                  "Invalid Message: the content is not a JSON object");
    }
    json_decref(q.content);
}

/* Replies */

/* [query] identities message buffers: to whom, then what. Who does not read its answers
 * isn't read either. */
static void send_reply(struct router *r, struct link *to, const struct frame *idents,
                       unsigned n_idents, const struct outgoing *o, const struct frame *buffers,
                       unsigned n_buffers)
{
    struct frame own[SESSION_FRAMES];
    if (router_compose(r, o, own) < 0)
        return;
    unsigned n = n_idents + SESSION_FRAMES + n_buffers;
    struct frame *all = calloc(n, sizeof(*all));
    if (!all)
        return;
    if (n_idents)
        memcpy(all, idents, n_idents * sizeof(*all));
    memcpy(all + n_idents, own, sizeof(own));
    if (n_buffers)
        memcpy(all + n_idents + SESSION_FRAMES, buffers, n_buffers * sizeof(*all));
    link_send_channel(to, CH_QUERY, all, n, link_is_attached(to) ? NULL : to);
    free(all);
}

static void send_content(const struct query *q, const char *msg_type, struct slice parent,
                         json_t *content)
{
    char *text = json_text(content);
    json_decref(content);
    if (!text) {
        log_error("hub::%s was not sent: out of memory", msg_type);
        return;
    }
    struct outgoing o = {
        .msg_type = msg_type, .parent = parent, .content = {text, strlen(text)}};
    send_reply(q->r, q->link, q->parts.idents, q->parts.n_idents, &o, NULL, 0);
    free(text);
}

void hub_reply(const struct query *q, const char *msg_type, json_t *content)
{
    send_content(q, msg_type, q->parent, content);
}

void hub_reply_text(const struct query *q, const char *msg_type, struct slice content)
{
    struct outgoing o = {.msg_type = msg_type, .parent = q->parent, .content = content};
    send_reply(q->r, q->link, q->parts.idents, q->parts.n_idents, &o, NULL, 0);
}

void hub_reply_orphan(const struct query *q, const char *msg_type, json_t *content)
{
    send_content(q, msg_type, (struct slice){NULL, 0}, content);
}

void hub_error(const struct query *q, const char *ename, const char *evalue)
{
    hub_reply(q, "hub_error", error_content(ename, evalue));
}

void hub_error_key(const struct query *q, const char *message)
{
    hub_reply(q, "hub_error", error_content_key(message));
}

/* Answers of records */

/* Reads what put_envelope() wrote. Returns the link, NULL when the peer is gone. */
static struct link *read_envelope(struct router *r, struct slice s, struct frame *idents,
                                  unsigned *ret_n)
{
    struct link *to = NULL;
    unsigned n = 0;
    size_t pos = 1;
    while (pos < s.len) {
        uint32_t len;
        memcpy(&len, s.data + pos, sizeof(len));
        pos += sizeof(len);
        struct slice id = {s.data + pos, len};
        if (!to) {
            to = ports_find(r, s.data[0] == 'a' ? RT_ATTACH : RT_QUERY, id);
            if (!to)
                return NULL;
        } else {
            idents[n++] = (struct frame){(const uint8_t *)id.data, id.len, NULL};
        }
        pos += len;
    }
    *ret_n = n;
    return to;
}

/* Its frames: msg_type, parent, content, buffers. */
void hub_on_answer(void *ctx, void *item)
{
    struct router *r = ctx;
    struct mail *m = item;
    struct frame idents[IDENTS_MAX];
    unsigned n_idents = 0;
    if (m->type == MAIL_RESUBMIT) {
        tasks_resubmit(r, m);
        mail_free(m);
        return;
    }
    struct link *to = read_envelope(r, m->peer, idents, &n_idents);
    if (to && m->msg && m->msg->n >= 3) {
        char type[MSG_TYPE_MAX];
        const struct frame *f = m->msg->frames;
        snprintf(type, sizeof(type), "%.*s", SLICE_FMT(frame_slice(&f[0])));
        struct outgoing o = {
            .msg_type = type,
            .parent = frame_slice(&f[1]),
            .content = frame_slice(&f[2]),
            .block = f[2].block,
        };
        send_reply(r, to, idents, n_idents, &o, f + 3, m->msg->n - 3);
    }
    if (to)
        note_answer(to);
    mail_free(m);
}

static void on_shutdown_time(struct timer *t)
{
    struct router *r = container_of(t, struct router, hub.shutdown);
    router_stop(r, 0);
}

int hub_start(struct router *r, struct ersa_error *err)
{
    r->hub.shutdown.fn = on_shutdown_time;
    if (r->cfg.digest_history == 0 || !session_has_key(r->session))
        return 0;
    r->hub.replay = replay_new(r->cfg.digest_history);
    return r->hub.replay ? 0 : err_set(err, ERSA_ENOMEM, "out of memory");
}

void hub_stop(struct router *r)
{
    loop_cancel(r->loop, &r->hub.shutdown);
    replay_free(r->hub.replay);
}
