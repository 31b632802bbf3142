/* SPDX-License-Identifier: BSD-3-Clause */
/* Puts the parts of the router together and takes them apart again; composes its own messages.
 */
#include "router/router.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "router/announce.h"
#include "router/broadcasts.h"
#include "router/core.h"
#include "router/direct.h"
#include "router/report.h"
#include "router/tasks.h"
#include "util/err.h"
#include "util/log.h"

#define SCRATCH_MAX 65536 /* header and signature of one message */
#define ANSWERS_A_TURN 64
#define DRAIN_POLL_MS 5
#define STOCK_CONNECTIONS 8
#define OTHER_DESCRIPTORS 64 /* listeners, clients, files */

const struct frame *router_prepend(struct router *r, const struct frame *front,
                                   unsigned n_front, const struct frame *frames, unsigned n)
{
    size_t need = (size_t)n_front + n;
    bool is_own = frames == r->vec;
    if (need > r->vec_cap) {
        struct frame *grown = reallocarray(r->vec, 2 * need, sizeof(*grown));
        if (!grown)
            return NULL;
        r->vec = grown;
        r->vec_cap = 2 * need;
    }
    memmove(r->vec + n_front, is_own ? r->vec : frames, n * sizeof(*frames));
    memcpy(r->vec, front, n_front * sizeof(*front));
    return r->vec;
}

int router_compose(struct router *r, const struct outgoing *o, struct frame out[SESSION_FRAMES])
{
    int rc = session_frames(r->session, o, &r->scratch, out);
    if (rc < 0)
        log_error("%s was not sent: %s", o->msg_type, ersa_strerror(rc));
    return rc;
}

/* Polls until everything is written, or time is up. */
static void on_stopping(struct timer *t)
{
    struct router *r = container_of(t, struct router, stopping);
    if (ports_queued_bytes(r) && loop_now_ns(r->loop) < r->stop_by_ns)
        loop_after(r->loop, t, MS_TO_NS(DRAIN_POLL_MS));
    else
        loop_stop(r->loop);
}

static int check_config(const struct router_config *cfg, struct ersa_error *err)
{
    if (cfg->heart_period_ms <= 0)
        return err_set(err, ERSA_EINVAL, "HeartMonitor.period must be positive");
    if (!cfg->engine_interface || !cfg->client_interface)
        return err_set(err, ERSA_EINVAL, "no interface to listen on");
    return 0;
}

static int64_t registration_timeout_ms(const struct router_config *cfg)
{
    if (cfg->registration_timeout_ms)
        return cfg->registration_timeout_ms;
    return cfg->heart_period_ms > 3000 ? 10 * cfg->heart_period_ms : 30000;
}

int router_new(struct router **ret, struct loop *l, struct session *s, struct ring *to_records,
               struct ring *from_records, const struct router_config *cfg,
               struct ersa_error *err)
{
    int rc = check_config(cfg, err);
    if (rc < 0)
        return rc;
    struct router *r = calloc(1, sizeof(*r));
    if (!r)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    r->cfg = *cfg;
    r->loop = l;
    r->session = s;
    r->stopping.fn = on_stopping;
    buf_init(&r->scratch, SCRATCH_MAX);
    struct registry_limits limits = {
        .registration_timeout_ms = registration_timeout_ms(cfg),
        .restore_ms = cfg->heart_period_ms * ((int64_t)cfg->heart_misses_max + 1),
    };
    registry_init(&r->registry, l, &limits, &announce_ops, r);
    complaints_init(&r->complaints, l);
    ledger_init(&r->ledger);
    control_init(&r->control);
    recent_init(&r->recent);
    mailer_start(r, to_records, cfg->aside);
    rc = hub_start(r, err);
    if (rc == 0)
        rc = sched_new(&r->sched, l, s, &r->cfg.sched, &tasks_ops, r, err);
    const struct broadcast_config broadcast = {.digest_history = cfg->digest_history,
                                               .client_limit = cfg->sched.client_limit};
    if (rc == 0)
        rc = broadcast_new(&r->broadcast, s, &broadcast, &broadcasts_ops, r, err);
    if (rc == 0)
        rc = state_start(r, err);
    if (rc == 0) {
        r->wire = wire_new(l, cfg->pool);
        rc = r->wire ? 0 : err_set(err, ERSA_ENOMEM, "out of memory");
    }
    if (rc == 0 && cfg->sched.client_limit)
        wire_bound_unfinished(r->wire, cfg->sched.client_limit);
    if (rc == 0)
        rc = ports_open(r, err);
    if (rc == 0)
        rc = ring_watch(from_records, l, hub_on_answer, r, ANSWERS_A_TURN);
    if (rc == 0)
        rc = report_start(r);
    if (rc < 0) {
        router_free(r);
        return rc;
    }
    r->from_records = from_records;
    heart_start(r);
    idle_start(r);
    *ret = r;
    return 0;
}

static void drop_waiting(struct router *r, struct list *engines)
{
    list_for_each (engines, it)
        direct_forget(r, container_of(it, struct engine, link));
}

void router_free(struct router *r)
{
    if (!r)
        return;
    loop_cancel(r->loop, &r->stopping);
    report_stop(r);
    heart_stop(r);
    idle_stop(r);
    state_stop(r);
    if (r->from_records)
        ring_unwatch(r->from_records);
    drop_waiting(r, &r->registry.pending);
    drop_waiting(r, &r->registry.live);
    ports_close(r, 0);
    sched_free(r->sched);
    broadcast_free(r->broadcast);
    ledger_fini(&r->ledger);
    control_fini(&r->control);
    recent_fini(r);
    registry_fini(&r->registry);
    hub_stop(r);
    mailer_stop(r);
    wire_free(r->wire);
    complaints_fini(&r->complaints);
    buf_fini(&r->scratch);
    free(r->vec);
    free(r);
}

void router_stop(struct router *r, unsigned linger_ms)
{
    r->stop_by_ns = loop_now_ns(r->loop) + MS_TO_NS(linger_ms);
    loop_after(r->loop, &r->stopping, 0);
}

static struct router_side side_numbers(const struct router *r, enum route control,
                                       enum route mux, enum route task, enum route iopub)
{
    const struct gate *g = r->ports.gates;
    return (struct router_side){g[control].number, g[mux].number, g[task].number,
                                g[iopub].number};
}

void router_endpoints(const struct router *r, struct router_endpoints *ret)
{
    const struct gate *g = r->ports.gates;
    *ret = (struct router_endpoints){
        .registration = g[RT_QUERY].number,
        .hb_ping = g[RT_HB_PING].number,
        .hb_pong = g[RT_HB_PONG].number,
        .notification = g[RT_NOTIFY].number,
        .attach = g[RT_ATTACH].number,
        .engine =
            side_numbers(r, RT_CONTROL_ENGINE, RT_MUX_ENGINE, RT_TASK_ENGINE, RT_IOPUB_ENGINE),
        .client =
            side_numbers(r, RT_CONTROL_CLIENT, RT_MUX_CLIENT, RT_TASK_CLIENT, RT_IOPUB_CLIENT),
        .broadcast = g[RT_BROADCAST_ROOT].number,
        .n_broadcast_leaves = r->ports.n_leaves,
    };
    for (unsigned i = 0; i < r->ports.n_leaves; i++)
        ret->broadcast_leaves[i] = r->ports.leaves[i].number;
}

void router_capacity(unsigned long *ret_attached, unsigned long *ret_stock)
{
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    unsigned long free_fds =
        limit.rlim_cur > OTHER_DESCRIPTORS ? limit.rlim_cur - OTHER_DESCRIPTORS : 0;
    *ret_attached = free_fds;
    *ret_stock = free_fds / STOCK_CONNECTIONS;
}
