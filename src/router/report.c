/* SPDX-License-Identifier: BSD-3-Clause */
/* Fills the router's sheet: a copy of counters, nothing that grows with tasks or engines. */
#include "router/report.h"

#include <ctype.h>

#include "router/core.h"

static void put_lower(struct stats_sheet *s, enum stats_metric m, const char *name,
                      uint64_t value)
{
    char label[STATS_LABEL_MAX];
    size_t i = 0;
    for (; name[i] && i < sizeof(label) - 1; i++)
        label[i] = (char)tolower((unsigned char)name[i]);
    label[i] = 0;
    stats_put_label(s, m, label, (double)value);
}

static void put_tasks(struct stats_sheet *s, const struct router *r)
{
    const struct sched_counts *c = sched_counts(r->sched);
    const struct {
        enum stats_metric metric;
        const char *label;
        uint64_t value;
    } rows[] = {
        {STATS_TASKS, "dependent", c->dependent},
        {STATS_TASKS, "queued", c->waiting - c->dependent},
        {STATS_TASKS, "sent", c->sent},
        {STATS_TASKS_SUBMITTED, NULL, c->submitted},
        {STATS_TASKS_ENDED, "done", c->done},
        {STATS_TASKS_ENDED, "failed", c->failed},
        {STATS_TASKS_ENDED, "aborted", c->aborted},
        {STATS_TASKS_RETRIED, NULL, c->retried},
        {STATS_TASK_RECALLS, NULL, c->recalls},
        {STATS_TASKS_RECALLED, NULL, c->recalled},
        {STATS_TASKS_REFUSED, "known", c->refused_known},
        {STATS_TASKS_REFUSED, "full", c->refused_full},
        {STATS_TASK_LATE, NULL, c->late_replies},
    };
    stats_put_label(s, STATS_SCHEDULER, r->cfg.sched.scheme, 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        stats_put_label(s, rows[i].metric, rows[i].label, (double)rows[i].value);
    stats_put_hist(s, STATS_TASK_QUEUE, &c->queue_time);
    stats_put_hist(s, STATS_TASK_ENGINE, &c->engine_time);
    stats_put_hist(s, STATS_TASK_TOTAL, &c->total_time);
}

static void put_broadcasts(struct stats_sheet *s, const struct router *r)
{
    struct broadcast_counts c = broadcast_counts(r->broadcast);
    stats_put(s, STATS_BROADCASTS, (double)c.requests);
    stats_put(s, STATS_BROADCASTS_REFUSED, (double)c.refused);
    stats_put(s, STATS_BROADCASTS_OPEN, (double)c.gathering);
    stats_put_label(s, STATS_BROADCAST_PARTS, "sent", (double)c.sent);
    stats_put_label(s, STATS_BROADCAST_PARTS, "answered", (double)c.replies);
    stats_put_label(s, STATS_BROADCAST_PARTS, "late", (double)c.late_replies);
}

static void put_engines(struct stats_sheet *s, const struct router *r)
{
    static const enum engine_event ends[] = {EV_STALLED, EV_UNREGISTER, EV_DISCONNECTED,
                                             EV_HEART_FAILED};
    const struct engine_env *env = &r->registry.env;
    for (enum engine_state st = ENGINE_ABSENT + 1; st < ENGINE_STATE_MAX; st++)
        put_lower(s, STATS_ENGINES, engine_state_name(st), env->in_state[st]);
    stats_put(s, STATS_ENGINES_REGISTERED, (double)env->events[EV_REGISTER]);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        put_lower(s, STATS_ENGINES_ENDED, engine_event_name(ends[i]), env->events[ends[i]]);
    stats_put(s, STATS_DIRECT_OPEN, (double)map_size(&r->ledger.open));
    stats_put_hist(s, STATS_DIRECT_TIME, &r->ledger.time);
}

static void put_connections(struct stats_sheet *s, const struct router *r)
{
    static const char *const sides[] = {[SIDE_ENGINE] = "engine", [SIDE_CLIENT] = "client"};
    size_t at_leaves = 0;
    for (unsigned i = 0; i < r->ports.n_leaves; i++)
        at_leaves += port_peers(r->ports.leaves[i].port);
    for (enum route rt = 0; rt < RT_MAX; rt++) {
        const struct gate *g = &r->ports.gates[rt];
        if (g->port)
            stats_put_labels(s, STATS_CONNECTIONS,
                             rt == RT_QUERY ? "both" : sides[g->row->side], g->row->key,
                             (double)port_peers(g->port));
    }
    stats_put_labels(s, STATS_CONNECTIONS, "engine", "broadcast", (double)at_leaves);
}

static void put_wire(struct stats_sheet *s, const struct router *r)
{
    const struct wire_stats *w = wire_stats(r->wire);
    const struct {
        enum stats_metric metric;
        uint64_t value;
    } rows[] = {
        {STATS_ACCEPTED, w->accepted},
        {STATS_HANDSHAKES_FAILED, w->handshake_failed},
        {STATS_PROTOCOL_ERRORS, w->protocol_errors},
        {STATS_HELD_UP, w->held_up},
        {STATS_STALLED, w->stalled},
        {STATS_TAKEOVERS, w->takeovers},
        {STATS_MESSAGES_IN, w->msgs_in},
        {STATS_MESSAGES_OUT, w->msgs_out},
        {STATS_BYTES_IN, w->bytes_in},
        {STATS_BYTES_OUT, w->bytes_out},
        {STATS_SEND_QUEUE, ports_queued_bytes(r)},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        stats_put(s, rows[i].metric, (double)rows[i].value);
}

static void put_dropped(struct stats_sheet *s, const struct router *r)
{
    static const char *const names[REJECT_MAX] = {
#define X(name, text) #name,
        REJECTS(X)
#undef X
    };
    for (int why = 0; why < REJECT_MAX; why++)
        put_lower(s, STATS_DROPPED, names[why], r->rejects[why]);
    stats_put_label(s, STATS_DROPPED, "slow_output_client", (double)r->iopub_dropped);
    stats_put_label(s, STATS_DROPPED, "unrecorded", (double)r->mailer.lost);
}

static void put_mail(struct stats_sheet *s, const struct router *r)
{
    const struct mailer *m = &r->mailer;
    size_t cap = ring_cap(m->ring);
    stats_put_label(s, STATS_MAIL_QUEUE, "ring", (double)(cap - ring_room(m->ring)));
    stats_put_label(s, STATS_MAIL_QUEUE, "waiting", (double)m->n);
    stats_put(s, STATS_MAIL_CAPACITY, (double)cap);
}

static void fill(void *ctx, struct stats_sheet *s)
{
    const struct router *r = ctx;
    put_tasks(s, r);
    put_broadcasts(s, r);
    put_engines(s, r);
    put_connections(s, r);
    put_wire(s, r);
    put_dropped(s, r);
    put_mail(s, r);
    stats_put_thread(s, "router");
}

int report_start(struct router *r)
{
    return r->cfg.stats ? desk_serve(r->cfg.stats, r->loop, fill, r) : 0;
}

void report_stop(struct router *r)
{
    if (r->cfg.stats)
        desk_leave(r->cfg.stats);
}
