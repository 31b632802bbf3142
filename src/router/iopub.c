/* SPDX-License-Identifier: BSD-3-Clause */
/* The iopub relay. A subscriber that does not keep up misses messages beyond a large cap, and
 * they are counted. Busy and idle, two of them a task, are told by their topic and not looked
 * at. */
#include "router/iopub.h"

#include <stdlib.h>
#include <string.h>

#include "router/core.h"
#include "router/fanout.h"
#include "router/registration.h"
#include "util/log.h"
#include "wire/jscan.h"

#define TEXT_MAX 256
#define PARENT_MAX ((size_t)16 << 20)

static bool is_status_topic(const struct parts *p)
{
    static const char suffix[] = ".status";
    if (p->n_idents == 0)
        return false;
    struct slice topic = frame_slice(&p->idents[0]);
    size_t len = sizeof(suffix) - 1;
    return topic.len > len && memcmp(topic.data + topic.len - len, suffix, len) == 0;
}

static bool is_recorded(struct slice type)
{
    static const char *const types[] = {"stream", "error", "execute_input", "execute_result",
                                        "display_data"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (slice_is(type, types[i]))
            return true;
    return false;
}

static void record_output(struct router *r, const struct engine *e, const struct parts *p,
                          struct link *source)
{
    struct jfield id = {.key = "msg_id"};
    char buf[TEXT_MAX];
    struct slice msg_id;
    if (jscan_one(p->parent, &id) < 0 || jscan_string(&id, buf, sizeof(buf), &msg_id) < 0)
        return;
    struct letter letter = {
        .type = MAIL_IOPUB,
        .msg_id = msg_id,
        .frames = p->wire,
        .n = p->n_wire,
    };
    if (e)
        letter.engine = e->uuid;
    mailer_post(r, &letter, source);
}

/* To each client, since all of them look for their own session in the parent. */
static void send_to_all(struct router *r, const struct msg *m)
{
    recent_keep(r, m);
    unsigned missed = port_publish(ports_get(&r->ports, RT_IOPUB_CLIENT), m->frames, m->n);
    if (missed && r->iopub_dropped == 0)
        log_warn("iopub::a client does not keep up: it misses output (further ones are only "
                 "counted)");
    r->iopub_dropped += missed;
}

/* Who asked without a session in the header gets an answer; but of its output, which has that
 * header as its parent, stock clients of everybody else would raise. They get an empty one.
 * One look tells that nothing is missing. */
static bool lacks_session(struct slice parent)
{
    static const char key[] = "\"session\"";
    struct jfield f = {.key = "session"};
    if (memmem(parent.data, parent.len, key, sizeof(key) - 1))
        return false;
    return jscan(parent, &f, 1) == 0 && f.type == J_ABSENT;
}

static int complete(struct router *r, const struct msg *m, const struct parts *p,
                    struct buf *parent)
{
    char signature[SESSION_SIGNATURE_MAX];
    bool is_empty;
    struct slice open = fanout_open_object(p->parent, &is_empty);
    if (is_empty)
        return ERSA_ENOENT; /* nobody's output, which all clients know */
    int rc = buf_append(parent, open.data, open.len);
    if (rc == 0)
        rc = buf_puts(parent, ", \"session\": \"\"}");
    struct frame *frames = rc == 0 ? calloc(m->n, sizeof(*frames)) : NULL;
    if (!frames)
        return ERSA_ENOMEM;
    memcpy(frames, m->frames, m->n * sizeof(*frames));
    struct frame *wire = frames + p->n_idents;
    struct slice text = {(const char *)parent->data, parent->len};
    size_t len = session_sign(r->session, p->header, text, p->metadata, p->content, signature);
    wire[1] = (struct frame){(const uint8_t *)signature, len, NULL};
    wire[3] = (struct frame){parent->data, parent->len, NULL};
    send_to_all(r, &(struct msg){.frames = frames, .n = m->n});
    free(frames);
    return 0;
}

static void publish(struct router *r, const struct msg *m, const struct parts *p)
{
    struct buf parent;
    buf_init(&parent, PARENT_MAX);
    if (!lacks_session(p->parent) || complete(r, m, p, &parent) < 0)
        send_to_all(r, m);
    buf_fini(&parent);
}

void iopub_from_engine(struct link *l, const struct msg *m)
{
    struct router *r = l->router;
    struct parts p;
    if (!link_admit(l, m->frames, m->n, &p))
        return;
    if (l->engine && is_status_topic(&p)) {
        publish(r, m, &p);
        return;
    }
    struct jfield f[] = {{.key = "msg_type"}, {.key = "session"}};
    char buf[2][TEXT_MAX];
    struct slice type, session;
    if (jscan(p.header, f, 2) < 0 || jscan_string(&f[0], buf[0], TEXT_MAX, &type) < 0) {
        link_reject(l, REJECT_HEADER);
        return;
    }
    /* A PUB socket tells no identity: whose it is follows from what it signs. */
    struct engine *e = NULL;
    if (jscan_string(&f[1], buf[1], TEXT_MAX, &session) == 0)
        e = registry_by_uuid(&r->registry, session);
    if (e && !link_is_attached(l))
        link_bind(l, e);
    if (is_recorded(type))
        record_output(r, e, &p, l);
    publish(r, m, &p);
    if (e && slice_is(type, "shutdown_reply"))
        registration_on_shutdown(r, e, p.metadata);
}
