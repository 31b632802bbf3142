/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread: one loop that reads the ring, and who gets which mail. Nothing is read while the
 * store is full: then the router holds back whoever has something to tell. */
#include "records/records.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "records/answers.h"
#include "records/hold.h"
#include "records/query.h"
#include "util/background.h"
#include "util/err.h"
#include "util/list.h"
#include "util/log.h"

#define IDLE_TICK_MS 60000
#define TEXT_MAX ((size_t)1 << 30)
#define TEXT_KEEP ((size_t)1 << 20)

static void hold_while_full(struct records *r)
{
    if (r->stopping || r->is_held == r->st->is_full)
        return;
    if (r->st->is_full)
        ring_unwatch(r->in);
    r->is_held = r->st->is_full;
    if (records_listen(r) < 0)
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

/* The thread */

static void on_stop(struct watch *w, unsigned events)
{
    loop_stop(container_of(w, struct records, stop)->loop);
}

static void *run(void *arg)
{
    struct records *r = arg;
    struct mail *m;
    background("records");
    loop_run(r->loop);
    r->stopping = true;
    while ((m = ring_pop(r->in)) || (m = ring_pop(r->aside)))
        on_mail(r, m);
    file_stop(r);
    return NULL;
}

static void free_records(struct records *r)
{
    answers_fini(r);
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
    answers_init(r, on_mail);
    r->tick.fn = on_tick;
    buf_init(&r->text, TEXT_MAX);
    seen_init(&r->seen);
    r->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->loop = loop_new();
    int rc = r->loop && r->stop_fd >= 0 ? 0 : ERSA_EIO;
    if (rc == 0)
        rc = loop_watch(r->loop, &r->stop, r->stop_fd, LOOP_READ, LOOP_URGENT);
    if (rc == 0)
        rc = records_listen(r);
    if (rc == 0)
        rc = ring_watch(r->aside, r->loop, hold_on_aside, r, RECORDS_MAILS_A_TURN);
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
    atomic_store(&r->is_ending, true);
    if (write(r->stop_fd, &one, sizeof(one)) < 0)
        log_error("records::the thread was not told to stop");
    pthread_join(r->thread, NULL);
    loop_cancel(r->loop, &r->tick);
    loop_unwatch(r->loop, &r->stop);
    ring_unwatch(r->in);
    ring_unwatch(r->aside);
    free_records(r);
}
