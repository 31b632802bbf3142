/* SPDX-License-Identifier: BSD-3-Clause */
/* Topics and states are made once; a status message costs its header and its signature. */
#include "engine/core.h"

#include <inttypes.h>

#include "util/log.h"

#define TEXT_MAX (8u * OUTPUT_PIECE) /* each octet may become an escape of six */
#define PARENT_MAX (1u << 20)
#define TOPIC_LEN_MAX 64

static const char *const kinds[TOPIC_MAX] = {
    [TOPIC_STATUS] = "status",
    [TOPIC_STDOUT] = "stdout",
    [TOPIC_STDERR] = "stderr",
    [TOPIC_SHUTDOWN] = "shutdown",
};

void publish_init(struct publish *p)
{
    for (int i = 0; i < TOPIC_MAX; i++)
        buf_init(&p->topics[i], TOPIC_LEN_MAX);
    buf_init(&p->last_parent, PARENT_MAX);
}

void publish_fini(struct publish *p)
{
    for (int i = 0; i < TOPIC_MAX; i++)
        buf_fini(&p->topics[i]);
    buf_fini(&p->last_parent);
}

int publish_prepare(struct publish *p, int64_t id)
{
    int rc = 0;
    for (int i = 0; i < TOPIC_MAX && rc == 0; i++) {
        buf_reset(&p->topics[i]);
        rc = buf_printf(&p->topics[i], "engine.%" PRId64 ".%s", id, kinds[i]);
    }
    return rc;
}

void publish_message(struct engine *e, const char *msg_type, struct slice topic,
                     struct slice parent, struct slice content, struct slice metadata,
                     const struct frame *buffers, unsigned n_buffers)
{
    struct outgoing o = {
        .msg_type = msg_type,
        .parent = parent,
        .metadata = metadata.data ? metadata : buf_slice(&e->self.plain),
        .content = content,
    };
    unsigned n = 2 + SESSION_FRAMES + n_buffers;
    struct frame *vec = engine_vec(e, n);
    if (!vec || session_frames(e->session, &o, &e->scratch, vec + 2) < 0) {
        log_error("out of memory: a %s message is lost", msg_type);
        return;
    }
    vec[1] = (struct frame){(const uint8_t *)topic.data, topic.len, NULL};
    for (unsigned i = 0; i < n_buffers; i++)
        vec[2 + SESSION_FRAMES + i] = buffers[i];
    channels_publish(&e->channels, vec, n);
}

static void publish_state(struct engine *e, struct slice parent, struct slice content)
{
    publish_message(e, "status", buf_slice(&e->publish.topics[TOPIC_STATUS]), parent, content,
                    (struct slice){0}, NULL, 0);
}

#define STATE(s) SLICE_LIT("{\"execution_state\": \"" s "\"}")

void publish_starting(struct engine *e)
{
    publish_state(e, (struct slice){0}, STATE("starting"));
}

static void send_busy(struct engine *e, struct request *r)
{
    r->published++;
    publish_state(e, r->parts.header, STATE("busy"));
}

void publish_busy(struct engine *e, struct request *r)
{
    if (!r->is_quiet)
        send_busy(e, r);
}

void publish_idle(struct engine *e, struct request *r)
{
    if (r->published == 0)
        return;
    r->published++;
    publish_state(e, r->parts.header, STATE("idle"));
}

int64_t publish_count(const struct request *r)
{
    return r->published ? (int64_t)r->published + 1 : 0;
}

void publish_done(struct engine *e, const struct request *r)
{
    struct buf *last = &e->publish.last_parent;
    buf_reset(last);
    if (buf_append(last, r->parts.header.data, r->parts.header.len) < 0)
        buf_reset(last);
}

void publish_output(struct engine *e, const char *msg_type, struct slice topic,
                    struct slice content, struct slice metadata, const struct frame *buffers,
                    unsigned n_buffers)
{
    struct slice parent = {0};
    if (e->current) {
        if (e->current->published == 0 && !e->current->is_answered)
            send_busy(e, e->current);
        e->current->published++;
        parent = e->current->parts.header;
    } else if (e->publish.last_parent.len) {
        parent = buf_slice(&e->publish.last_parent);
    }
    publish_message(e, msg_type, topic, parent, content, metadata, buffers, n_buffers);
}

void publish_stream(struct engine *e, enum output_stream which, struct slice text)
{
    struct buf b;
    buf_init(&b, TEXT_MAX);
    int rc = buf_puts(&b, which == OUTPUT_STDOUT ? "{\"name\": \"stdout\", \"text\": "
                                                 : "{\"name\": \"stderr\", \"text\": ");
    if (rc == 0)
        rc = buf_put_json(&b, text.data, text.len);
    if (rc == 0)
        rc = buf_putc(&b, '}');
    if (rc == 0)
        publish_output(
            e, "stream",
            buf_slice(&e->publish.topics[which == OUTPUT_STDOUT ? TOPIC_STDOUT : TOPIC_STDERR]),
            buf_slice(&b), (struct slice){0}, NULL, 0);
    else
        log_error("out of memory: %zu octets of output are lost", text.len);
    buf_fini(&b);
}
