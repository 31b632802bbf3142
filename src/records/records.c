/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread: one loop that reads the ring. While an answer waits for room in the other ring,
 * nothing is read, so that what waits is bounded; the router always reads on, so the wait ends.
 * Nor is it while the store is full: then the router holds back whoever has something to tell.
 */
#include "records/records.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "records/core.h"
#include "util/err.h"
#include "util/list.h"
#include "util/log.h"

#define MAILS_A_TURN 256
#define RETRY_MS 1
#define IDLE_TICK_MS 60000
#define TEXT_MAX ((size_t)1 << 30)
#define TEXT_KEEP ((size_t)1 << 20)

static void on_mail(void *ctx, void *item);

/* Reads the ring again, if nothing stands against it. */
static int listen_again(struct records *r)
{
    if (r->n_stuck || r->is_held)
        return 0;
    return ring_watch(r->in, r->loop, on_mail, r, MAILS_A_TURN);
}

static void hold_while_full(struct records *r)
{
    if (r->stopping || r->is_held == r->st->is_full)
        return;
    if (r->st->is_full)
        ring_unwatch(r->in);
    r->is_held = r->st->is_full;
    if (listen_again(r) < 0)
        r->is_held = true; /* until the next tick */
    ring_stall(r->in, r->is_held);
    r->n_looked = 0;
}

/* As long as something waits, often; and now and then, since records grow old. */
static void on_tick(struct timer *t)
{
    struct records *r = container_of(t, struct records, tick);
    struct ersa_error err = {0};
    int rc = r->st->ops->tick(r->st, &err);
    if (rc < 0)
        records_complain(r, &err);
    hold_while_full(r);
    hold_answer(r);
    loop_after(r->loop, t, MS_TO_NS(rc || r->is_held ? STORE_TICK_MS : IDLE_TICK_MS));
}

static void want_tick(struct records *r)
{
    int64_t due = loop_now_ns(r->loop) + MS_TO_NS(STORE_TICK_MS);
    if (!r->st->ops->tick || r->stopping || (timer_is_set(&r->tick) && r->tick.due_ns <= due))
        return;
    loop_after(r->loop, &r->tick, MS_TO_NS(STORE_TICK_MS));
}

static void on_mail(void *ctx, void *item)
{
    static void (*const handlers[])(struct records * r, const struct mail *m) = {
        [MAIL_REQUEST] = tasks_on_request,
        [MAIL_ASSIGNED] = tasks_on_assigned,
        [MAIL_RESULT] = tasks_on_result,
        [MAIL_ENGINE_LOST] = tasks_on_engine_lost,
        [MAIL_IOPUB] = output_on_iopub,
        [MAIL_QUERY] = query_on_mail,
        [MAIL_FILE] = file_on_mail,
        [MAIL_DONE] = NULL,
        [MAIL_ANSWER] = NULL,
        [MAIL_RESUBMIT] = NULL,
    };
    struct mail *m = item;
    struct records *r = ctx;
    size_t weight = mail_weight(m);
    if (handlers[m->type])
        handlers[m->type](r, m);
    r->n_heard++;
    mail_free(m);
    if (weight)
        ring_unload(r->in, weight);
    want_tick(r);
    hold_while_full(r);
    if (r->text.cap > TEXT_KEEP) {
        buf_fini(&r->text);
        buf_init(&r->text, TEXT_MAX);
    }
}

/* Answers */

static int keep_stuck(struct records *r, struct mail *answer)
{
    if (r->n_stuck == r->cap_stuck) {
        size_t cap = r->cap_stuck ? 2 * r->cap_stuck : 16;
        struct mail **grown = reallocarray(r->stuck, cap, sizeof(*grown));
        if (!grown)
            return ERSA_ENOMEM;
        r->stuck = grown;
        r->cap_stuck = cap;
    }
    r->stuck[r->n_stuck++] = answer;
    return 0;
}

static void on_retry(struct timer *t)
{
    struct records *r = container_of(t, struct records, retry);
    size_t n = 0;
    while (n < r->n_stuck && ring_push(r->out, r->stuck[n]) == 0)
        n++;
    ring_flush(r->out);
    r->n_stuck -= n;
    memmove(r->stuck, r->stuck + n, r->n_stuck * sizeof(*r->stuck));
    if (r->n_stuck || listen_again(r) < 0)
        loop_after(r->loop, t, MS_TO_NS(RETRY_MS));
}

void records_answer(struct records *r, struct mail *answer)
{
    if (r->n_stuck == 0 && ring_push(r->out, answer) == 0) {
        ring_flush(r->out);
        return;
    }
    if (r->stopping || keep_stuck(r, answer) < 0) {
        mail_free(answer);
        return;
    }
    if (timer_is_set(&r->retry))
        return;
    ring_unwatch(r->in);
    loop_after(r->loop, &r->retry, MS_TO_NS(RETRY_MS));
}

/* What the events share */

struct slice *slices_of(struct records *r, const struct frame *frames, unsigned n)
{
    if (n > r->cap_slices || !r->slices) {
        struct slice *grown = reallocarray(r->slices, n + 8, sizeof(*grown));
        if (!grown)
            return NULL;
        r->slices = grown;
        r->cap_slices = n + 8;
    }
    for (unsigned i = 0; i < n; i++)
        r->slices[i] = frame_slice(&frames[i]);
    return r->slices;
}

bool records_text(struct records *r, const struct jfield *f, struct slice *ret)
{
    if (f->type != J_STRING)
        return false;
    buf_reset(&r->text);
    if (f->escaped && buf_reserve(&r->text, f->raw.len) < 0)
        return false;
    return jscan_string(f, (char *)r->text.data, f->raw.len, ret) == 0;
}

void records_complain(struct records *r, const struct ersa_error *err)
{
    r->unstored++;
    r->why = *err;
    if (!r->has_complained)
        log_warn("records::%s (further ones are only counted)", err->text);
    r->has_complained = true;
}

void records_put(struct records *r, const struct store_record *rec)
{
    struct ersa_error err = {0};
    if (r->st->ops->put(r->st, rec, &err) < 0)
        records_complain(r, &err);
}

void records_update(struct records *r, const struct store_record *rec)
{
    struct ersa_error err = {0};
    int rc = r->st->ops->update(r->st, rec, &err);
    if (rc < 0 && rc != ERSA_ENOENT)
        records_complain(r, &err);
}

bool records_has(struct records *r, struct slice msg_id)
{
    struct store_record rec;
    return r->st->ops->get(r->st, msg_id, 0, &rec, NULL) == 0;
}

/* The thread */

static void on_stop(struct watch *w, unsigned events)
{
    loop_stop(container_of(w, struct records, stop)->loop);
}

static void *run(void *arg)
{
    struct records *r = arg;
    struct mail *m;
    loop_run(r->loop);
    r->stopping = true;
    while ((m = ring_pop(r->in)) || (m = ring_pop(r->aside)))
        on_mail(r, m);
    return NULL;
}

static void free_records(struct records *r)
{
    for (size_t i = 0; i < r->n_stuck; i++)
        mail_free(r->stuck[i]);
    free(r->stuck);
    free(r->slices);
    if (r->stats)
        desk_leave(r->stats);
    buf_fini(&r->text);
    seen_fini(&r->seen);
    if (r->stop_fd >= 0)
        close(r->stop_fd);
    loop_free(r->loop);
    r->st->ops->close(r->st);
    free(r);
}

/* Signals are for the thread that started us. */
static int start_thread(struct records *r)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&r->thread, NULL, run, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? 0 : ERSA_EIO;
}

int records_start(struct records **ret, struct store *st, const struct records_rings *rings,
                  struct stats_desk *stats, struct ersa_error *err)
{
    struct records *r = calloc(1, sizeof(*r));
    if (!r) {
        st->ops->close(st);
        return err_set(err, ERSA_ENOMEM, "out of memory");
    }
    r->st = st;
    r->in = rings->in;
    r->aside = rings->aside;
    r->out = rings->out;
    r->stats = stats;
    r->keeps = !slice_is(SLICE_LIT("none"), st->ops->name);
    r->stop.fn = on_stop;
    r->retry.fn = on_retry;
    r->tick.fn = on_tick;
    buf_init(&r->text, TEXT_MAX);
    seen_init(&r->seen);
    r->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->loop = loop_new();
    int rc = r->loop && r->stop_fd >= 0 ? 0 : ERSA_EIO;
    if (rc == 0)
        rc = loop_watch(r->loop, &r->stop, r->stop_fd, LOOP_READ, LOOP_URGENT);
    if (rc == 0)
        rc = ring_watch(r->in, r->loop, on_mail, r, MAILS_A_TURN);
    if (rc == 0)
        rc = ring_watch(r->aside, r->loop, hold_on_aside, r, MAILS_A_TURN);
    if (rc == 0 && stats)
        rc = desk_serve(stats, r->loop, report_fill, r);
    want_tick(r);
    if (rc == 0)
        rc = start_thread(r);
    if (rc < 0) {
        ring_unwatch(r->in);
        ring_unwatch(r->aside);
        free_records(r);
        return err_set(err, rc, "the records thread was not started: %s", ersa_strerror(rc));
    }
    *ret = r;
    return 0;
}

void records_stop(struct records *r)
{
    uint64_t one = 1;
    if (!r)
        return;
    if (write(r->stop_fd, &one, sizeof(one)) < 0)
        log_error("records::the thread was not told to stop");
    pthread_join(r->thread, NULL);
    loop_cancel(r->loop, &r->retry);
    loop_cancel(r->loop, &r->tick);
    loop_unwatch(r->loop, &r->stop);
    ring_unwatch(r->in);
    ring_unwatch(r->aside);
    free_records(r);
}
