/* SPDX-License-Identifier: BSD-3-Clause */
/* Putting the parts together, and what several of them need: messages of our own,
 * back-pressure. */
#include "engine/core.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/err.h"
#include "util/log.h"
#include "wire/json.h"
#include "wire/reply.h"

#define TEXT_MAX ((size_t)1 << 30)
#define POOL_KEEP ((size_t)128 << 20)    /* memory of large buffers kept for the next one ... */
#define POOL_KEEP_IDLE ((size_t)1 << 20) /* ... and when none came for a while */
#define TIDY_MS 2000

/* Messages */

struct frame *engine_vec(struct engine *e, unsigned n)
{
    if (n <= e->vec_cap)
        return e->vec;
    unsigned cap = e->vec_cap ? e->vec_cap : 32;
    while (cap < n)
        cap *= 2;
    struct frame *vec = reallocarray(e->vec, cap, sizeof(*vec));
    if (!vec)
        return NULL;
    e->vec = vec;
    e->vec_cap = cap;
    return vec;
}

void engine_send_query(struct engine *e, const char *msg_type, struct slice content)
{
    struct outgoing o = {.msg_type = msg_type, .content = content};
    struct frame *vec = engine_vec(e, 1 + SESSION_FRAMES);
    if (vec && session_frames(e->session, &o, &e->scratch, vec + 1) == 0)
        channels_query(&e->channels, vec, 1 + SESSION_FRAMES);
    else
        log_error("out of memory: a %s message is lost", msg_type);
}

static struct slice status_content(struct engine *e, struct slice status)
{
    buf_reset(&e->text);
    if (buf_puts(&e->text, "{\"status\": ") < 0 ||
        buf_put_json(&e->text, status.data, status.len) < 0 || buf_putc(&e->text, '}') < 0)
        return SLICE_LIT("{\"status\": \"error\"}");
    return buf_slice(&e->text);
}

void engine_send_reply(struct engine *e, const struct request *r, struct slice status,
                       bool is_unmet, struct slice content, const struct frame *buffers,
                       unsigned n_buffers)
{
    char type[MSG_TYPE_MAX];
    if (!r->def || !r->def->has_reply || !reply_type(r->msg_type, type))
        return;
    int64_t published = r->is_quiet ? publish_count(r) : REPLY_SAYS_NOTHING;
    buf_reset(&e->metadata);
    int rc = reply_metadata(&e->metadata, &e->self, r, status, is_unmet, published);
    struct outgoing o = {
        .msg_type = type,
        .parent = r->parts.header,
        .metadata = buf_slice(&e->metadata),
        .content = content.data ? content : status_content(e, status),
    };
    unsigned n_idents = r->parts.n_idents, n = n_idents + SESSION_FRAMES + n_buffers;
    struct frame *vec = rc == 0 ? engine_vec(e, n) : NULL;
    if (!vec || session_frames(e->session, &o, &e->scratch, vec + n_idents) < 0) {
        log_error("out of memory: the reply to %.*s is lost", SLICE_FMT(r->msg_id));
        return;
    }
    memcpy(vec, r->parts.idents, n_idents * sizeof(*vec));
    for (unsigned i = 0; i < n_buffers; i++)
        vec[n_idents + SESSION_FRAMES + i] = buffers[i];
    channels_reply(&e->channels, r->channel, vec, n);
}

void engine_answer(struct engine *e, const struct request *r, json_t *content)
{
    char *text = content ? json_text(content) : NULL;
    const char *status = json_str(content, "status");
    if (text)
        engine_send_reply(e, r,
                          status ? (struct slice){status, strlen(status)} : SLICE_LIT("ok"),
                          false, (struct slice){text, strlen(text)}, NULL, 0);
    else
        log_error("out of memory: the reply to %.*s is lost", SLICE_FMT(r->msg_id));
    free(text);
    json_decref(content);
}

void engine_reject(struct engine *e, const char *why)
{
    e->rejected++;
    if (!e->has_complained)
        log_error("a message was dropped: %s (further ones are only counted)", why);
    e->has_complained = true;
}

void engine_balance(struct engine *e)
{
    bool is_full = channels_is_full(&e->channels);
    if (is_full == e->is_held_back)
        return;
    e->is_held_back = is_full;
    output_hold(&e->output, is_full);
    runtime_hold(e, is_full);
}

void engine_tidy_later(struct engine *e)
{
    if (!timer_is_set(&e->tidy) &&
        block_pool_used(e->pool) + block_pool_kept(e->pool) > POOL_KEEP_IDLE)
        loop_after(e->loop, &e->tidy, MS_TO_NS(TIDY_MS));
}

static void on_tidy(struct timer *t)
{
    struct engine *e = container_of(t, struct engine, tidy);
    if (e->current) {
        loop_after(e->loop, t, MS_TO_NS(TIDY_MS));
        return;
    }
    block_pool_trim(e->pool, POOL_KEEP_IDLE);
    malloc_trim(0);
}

/* Events */

static void on_up(void *ctx)
{
    life_event(ctx, EV_UP);
}

static void on_served(void *ctx)
{
    registration_ready(ctx);
}

static void on_down(void *ctx)
{
    struct engine *e = ctx;
    life_event(e, EV_DOWN);
    engine_balance(e);
}

static void on_drained(void *ctx)
{
    engine_balance(ctx);
}

static void on_written(void *ctx)
{
    dispatch_written(ctx);
}

static void on_message(void *ctx, enum channel ch, const struct frame *frames, unsigned n)
{
    struct engine *e = ctx;
    if (ch == CHAN_QUERY)
        registration_on_message(e, frames, n);
    else
        dispatch_message(e, ch, frames, n);
}

static const struct channels_ops channel_ops = {
    .up = on_up,
    .served = on_served,
    .down = on_down,
    .message = on_message,
    .drained = on_drained,
    .written = on_written,
};

/* What user code left behind comes to us when it ends (PR_SET_CHILD_SUBREAPER). */
static void reap_orphans(const struct engine *e)
{
    siginfo_t info = {0};
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid &&
           info.si_pid != e->runtime.child.pid) {
        waitpid(info.si_pid, NULL, WNOHANG);
        info.si_pid = 0;
    }
}

static void on_signal(void *ctx, int signo)
{
    struct engine *e = ctx;
    switch (signo) {
    case SIGTERM:
        log_critical("received signal %d, stopping", signo);
        life_stop(e, e->life.state == LIFE_STOPPING ? STOP_SIGTERM_TWICE : STOP_SIGTERM);
        break;
    case SIGHUP:
        if (!e->cfg.hangup_ends) {
            log_reopen();
            break;
        }
        log_critical("received signal %d, stopping", signo);
        life_stop(e, STOP_SIGHUP);
        break;
    case SIGINT:
        if (!runtime_interrupt(e, true))
            log_warn("Ignoring SIGINT. Terminate with SIGTERM.");
        break;
    case SIGUSR1:
    case SIGUSR2:
        if (runtime_handles(e, signo))
            runtime_signal(e, signo);
        else
            log_info("Ignoring signal %d: user code has no handler for it", signo);
        break;
    default:
        reap_orphans(e);
    }
}

/* Life */

static size_t quarter_of_ram(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (size_t)pages / 4 * (size_t)size : (size_t)1 << 30;
}

static void init(struct engine *e, const struct engine_config *cfg)
{
    *e = (struct engine){.cfg = *cfg, .id = -1};
    queue_init(&e->queue, cfg->queue_max_bytes ? cfg->queue_max_bytes : quarter_of_ram());
    publish_init(&e->publish);
    buf_init(&e->scratch, TEXT_MAX);
    buf_init(&e->metadata, TEXT_MAX);
    buf_init(&e->text, TEXT_MAX);
    buf_init(&e->last_begun, TEXT_MAX);
    buf_init(&e->tell_free_to, TEXT_MAX);
    e->tidy.fn = on_tidy;
    registration_init(e);
    life_init(e);
}

static void fini(struct engine *e)
{
    life_fini(e);
    if (e->loop) {
        registration_fini(e);
        loop_cancel(e->loop, &e->tidy);
        heart_stop(e);
        runtime_fini(e);
        output_close(&e->output);
        channels_close(&e->channels);
        signals_close(&e->signals);
    }
    request_free(e->current);
    request_free(e->next);
    queue_fini(&e->queue);
    publish_fini(&e->publish);
    reply_self_fini(&e->self);
    buf_fini(&e->scratch);
    buf_fini(&e->metadata);
    buf_fini(&e->text);
    buf_fini(&e->last_begun);
    buf_fini(&e->tell_free_to);
    free(e->vec);
    if (e->wire)
        wire_free(e->wire);
    if (e->pool)
        block_pool_free(e->pool);
    session_free(e->session);
    replay_free(e->replay);
    if (e->loop)
        loop_free(e->loop);
}

/* The runtime first: its start takes longest and goes on beside ours. */
static int start(struct engine *e, struct ersa_error *err)
{
    static const int signos[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, 0};
    const struct engine_config *cfg = &e->cfg;
    e->loop = loop_new();
    e->pool = block_pool_new(POOL_KEEP, true);
    e->replay = replay_new(cfg->key[0] ? cfg->digest_history : 0);
    if (!e->loop || !e->pool || !e->replay)
        return err_set(err, ERSA_ENOMEM, "out of memory or descriptors");
    e->wire = wire_new(e->loop, e->pool);
    if (!e->wire)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    int rc = session_new(&e->session, cfg->key, strlen(cfg->key), cfg->signature_scheme,
                         cfg->uuid, cfg->username, err);
    if (rc < 0)
        return rc;
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    rc = signals_open(&e->signals, e->loop, signos, on_signal, e);
    if (rc < 0)
        return err_set(err, rc, "signals can't be taken over");
    rc = runtime_start(e, err);
    if (rc < 0)
        return rc;
    registration_start(e);
    bool use_attach =
        e->cfg.caps & CAP_attach && cfg->conn->caps & CAP_attach && cfg->conn->attach > 0;
    return channels_open(&e->channels, e->loop, e->wire, cfg->conn, cfg->interface, cfg->curve,
                         session_id(e->session), use_attach, &channel_ops, e, err);
}

int engine_run(const struct engine_config *cfg, int *ret_exit, struct ersa_error *err)
{
    struct engine e;
    init(&e, cfg);
    int rc = start(&e, err);
    if (rc == 0) {
        char *address = channels_address(&e.channels);
        log_info("Registering with controller at %s", address ? address : "?");
        free(address);
        rc = loop_run(e.loop);
        if (rc < 0)
            err_set(err, rc, "the event loop failed");
        *ret_exit = e.life.exit_code;
    }
    fini(&e);
    return rc;
}
