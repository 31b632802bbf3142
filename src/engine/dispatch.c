/* SPDX-License-Identifier: BSD-3-Clause */
/* The per-task path of the engine: check, queue, run, answer. */
#include "engine/core.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/recall.h"
#include "engine/requests.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/reply.h"

static const struct request_def defs[] = {
    {"apply_request", BY_RUNTIME, .is_task = true, .has_reply = true},
    {"execute_request", BY_RUNTIME, .is_task = true, .has_reply = true},
    {"complete_request", BY_RUNTIME, .has_reply = true},
    {"inspect_request", BY_RUNTIME, .has_reply = true},
    {"is_complete_request", BY_RUNTIME, .has_reply = true},
    {"history_request", BY_RUNTIME, .has_reply = true},
    {"kernel_info_request", BY_RUNTIME, .has_reply = true},
    {"comm_info_request", BY_RUNTIME, .has_reply = true},
    {"comm_open", BY_RUNTIME},
    {"comm_msg", BY_RUNTIME},
    {"comm_close", BY_RUNTIME},
    {"clear_request", BY_ENGINE, .has_reply = true, .answer = on_clear_request},
    {"abort_request", BY_ENGINE, .has_reply = true, .answer = on_abort_request},
    {"shutdown_request", BY_ENGINE, .has_reply = true, .answer = on_shutdown_request},
    {"signal_request", BY_ENGINE, .has_reply = true, .answer = on_signal_request},
    {"interrupt_request", BY_ENGINE, .has_reply = true, .answer = on_interrupt_request},
    {"connect_request", BY_ENGINE, .has_reply = true, .answer = on_connect_request},
    {"usage_request", BY_ENGINE, .has_reply = true, .answer = on_usage_request},
    {"ersa_recall", AT_ONCE, .answer = on_recall},
};

const struct request_def *dispatch_find(struct slice msg_type)
{
    for (size_t i = 0; i < sizeof(defs) / sizeof(defs[0]); i++)
        if (slice_is(msg_type, defs[i].type))
            return &defs[i];
    return NULL;
}

static bool wants_quiet(const struct engine *e, const struct request *r)
{
    struct jfield quiet = {.key = "quiet_status"};
    bool is_on = false;
    return e->caps & CAP_quiet_status && r->meta[META_ERSA].type == J_OBJECT &&
           jscan(r->meta[META_ERSA].raw, &quiet, 1) == 0 && jscan_bool(&quiet, &is_on) == 0 &&
           is_on;
}

/* What the engine itself answers, or nobody. */
static void answer_here(struct engine *e, struct request *r)
{
    r->started_us = clock_utc_us();
    publish_busy(e, r);
    if (r->def)
        r->def->answer(e, r);
    else
        log_warn("Unknown message type: '%.*s'", SLICE_FMT(r->msg_type));
    publish_idle(e, r);
}

static void answer_aborted(struct engine *e, struct request *r)
{
    r->started_us = clock_utc_us();
    publish_busy(e, r);
    engine_send_reply(e, r, SLICE_LIT("aborted"), false, (struct slice){0}, NULL, 0);
    publish_idle(e, r);
}

static void answer_error(struct engine *e, struct request *r, const char *ename,
                         const char *evalue)
{
    json_t *content = error_content(ename, evalue);
    char *text = content ? json_dumps(content, JSON_COMPACT) : NULL;
    r->started_us = clock_utc_us();
    if (r->published == 0)
        publish_busy(e, r);
    if (text)
        engine_send_reply(e, r, SLICE_LIT("error"), false, (struct slice){text, strlen(text)},
                          NULL, 0);
    publish_idle(e, r);
    free(text);
    json_decref(content);
}

static void enqueue(struct engine *e, struct request *r)
{
    struct request *held = request_hold(r);
    if (!held) {
        answer_error(e, r, "MemoryError", "the engine has no memory to queue this request");
        return;
    }
    if (queue_push(&e->queue, held) < 0) {
        request_free(held);
        answer_error(e, r, "QueueFull", "too much waits for this engine already");
        return;
    }
    dispatch_next(e);
}

/* The controller has given an engine up whose one connection was lost. What it had queued for
 * it may come by the next one, and belongs to others by now. */
static bool is_left_over(const struct engine *e, enum channel ch)
{
    return ch == CHAN_SHELL && channels_is_one(&e->channels) && e->id >= 0 &&
           e->life.state < LIFE_SERVING;
}

void dispatch_message(struct engine *e, enum channel ch, const struct frame *frames, unsigned n)
{
    struct request r;
    int rc = request_read(&r, ch, frames, n);
    if (rc < 0) {
        engine_reject(e, rc == ERSA_ENOMEM ? "there is no memory to read it"
                         : rc == ERSA_EPROTO
                             ? "it is no message of the protocol"
                             : "its header or metadata are not what they should be");
        return;
    }
    if (session_verify(e->session, &r.parts) < 0) {
        engine_reject(e, "its signature is wrong");
    } else if (is_left_over(e, ch)) {
        log_debug("dropped %.*s: it was for the connection before this one",
                  SLICE_FMT(r.msg_id));
    } else if (replay_check(e->replay, r.parts.signature) < 0) {
        engine_reject(e, "it was received before");
    } else {
        r.def = dispatch_find(r.msg_type);
        r.arrived_ns = loop_now_ns(e->loop);
        r.is_quiet = wants_quiet(e, &r);
        bool is_queued = r.def && (r.def->who == BY_RUNTIME || ch == CHAN_SHELL);
        if (r.def && r.def->who == AT_ONCE)
            r.def->answer(e, &r);
        else if (!is_queued)
            answer_here(e, &r);
        else if (e->life.state < LIFE_STOPPING)
            enqueue(e, &r);
    }
    request_fini(&r);
}

/* Says that this one is under way before it is: what has not been said to be begun when the
 * engine dies goes elsewhere (extensions.md 4). 0 when that is written, or need not be:
 * whatever becomes of us now, or has become of our connection while we were stopped, it runs
 * once. */
static int tell_begun(struct engine *e, const struct request *r)
{
    if (!(e->caps & CAP_begun) || r->is_answered ||
        !channels_is_task(&e->channels, &r->parts.idents[0]))
        return 0;
    buf_reset(&e->text);
    if (buf_puts(&e->text, "{\"msg_id\": ") < 0 ||
        buf_put_json(&e->text, r->msg_id.data, r->msg_id.len) < 0 ||
        buf_putc(&e->text, '}') < 0)
        return ERSA_ENOMEM;
    struct outgoing o = {.msg_type = "ersa_begun", .parent = buf_slice(&e->text)};
    unsigned n_idents = r->parts.n_idents;
    struct frame *vec = engine_vec(e, n_idents + SESSION_FRAMES);
    if (!vec || session_frames(e->session, &o, &e->scratch, vec + n_idents) < 0)
        return ERSA_ENOMEM;
    memcpy(vec, r->parts.idents, n_idents * sizeof(*vec));
    channels_reply(&e->channels, r->channel, vec, n_idents + SESSION_FRAMES);
    int rc = channels_write_out(&e->channels, r->channel, &r->parts.idents[0]);
    if (rc == ERSA_ECLOSED) /* it doesn't begin */
        return rc;
    buf_reset(&e->last_begun);
    return buf_append(&e->last_begun, r->msg_id.data, r->msg_id.len) < 0 ? ERSA_ENOMEM : rc;
}

/* False: the runtime could not be given it, and it was answered. */
static bool run(struct engine *e, struct request *r)
{
    int rc = runtime_run(e, r);
    if (rc == 0) {
        e->current = r;
        return true;
    }
    answer_error(e, r, rc == ERSA_EFULL ? "ValueError" : "MemoryError",
                 rc == ERSA_EFULL ? "the request has more buffers than the runtime takes"
                                  : "the engine has no memory to hand this request on");
    request_free(r);
    return false;
}

/* False: it was answered. */
static bool start(struct engine *e, struct request *r)
{
    log_debug("Handling %.*s: %.*s", SLICE_FMT(r->msg_type), SLICE_FMT(r->msg_id));
    r->started_us = clock_utc_us();
    if (!r->is_answered)
        publish_busy(e, r);
    int rc = tell_begun(e, r);
    if (rc == ERSA_EAGAIN || rc == ERSA_ECLOSED) {
        e->next = r;
        e->is_next_told = rc == ERSA_EAGAIN;
        return true;
    }
    if (rc == 0)
        return run(e, r);
    answer_error(e, r, "MemoryError", "the engine has no memory to begin this request");
    request_free(r);
    return false;
}

void dispatch_next(struct engine *e)
{
    struct request *r;
    while (!e->current && !e->next && life_is_serving(e) && runtime_is_free(e) &&
           (r = queue_pop(&e->queue))) {
        if (queue_is_aborted(&e->queue, r))
            answer_aborted(e, r);
        else if (r->def->who == BY_ENGINE && !r->is_answered)
            answer_here(e, r);
        else if (start(e, r))
            return;
        else
            continue;
        request_free(r);
    }
    recall_tell_free(e);
}

void dispatch_written(struct engine *e)
{
    struct request *r = e->next;
    if (!r || !life_is_serving(e) || !runtime_is_free(e))
        return;
    int rc = e->is_next_told ? channels_write_out(&e->channels, r->channel, &r->parts.idents[0])
                             : tell_begun(e, r);
    e->is_next_told = rc == 0 || rc == ERSA_EAGAIN;
    if (rc < 0)
        return;
    e->next = NULL;
    if (!run(e, r))
        dispatch_next(e);
}

static void drop(struct engine *e, struct request *r)
{
    replay_forget(e->replay, r->parts.signature);
    request_free(r);
}

size_t dispatch_drop(struct engine *e)
{
    size_t n = 0;
    struct request *r;
    for (; (r = queue_pop(&e->queue)); n++)
        drop(e, r);
    if (e->next) {
        drop(e, TAKE_PTR(e->next));
        n++;
    }
    return n;
}

void dispatch_first(struct engine *e, const struct request *r)
{
    struct request *held = request_hold(r);
    if (!held) {
        log_error("out of memory: a %.*s is lost", SLICE_FMT(r->msg_type));
        return;
    }
    held->is_answered = true;
    queue_push_front(&e->queue, held);
    if (r->channel == CHAN_CONTROL)
        dispatch_next(e);
}

void dispatch_reply(struct engine *e, struct slice status, struct slice flags,
                    struct slice content, const struct frame *buffers, unsigned n_buffers)
{
    struct request *r = e->current;
    bool is_unmet = memchr(flags.data, RT_FLAG_UNMET, flags.len);
    if (!r->is_answered) {
        e->life.last_reply_ns = loop_now_ns(e->loop);
        if (!slice_is(status, "none"))
            engine_send_reply(e, r, status, is_unmet, content, buffers, n_buffers);
        publish_idle(e, r);
        publish_done(e, r);
    }
    if (memchr(flags.data, RT_FLAG_ABORT_QUEUE, flags.len))
        queue_abort_executes(&e->queue,
                             loop_now_ns(e->loop) + MS_TO_NS(e->cfg.stop_on_error_ms));
    e->current = NULL;
    request_free(r);
    engine_tidy_later(e);
}
