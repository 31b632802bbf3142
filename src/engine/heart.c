/* SPDX-License-Identifier: BSD-3-Clause */
/* A check that no ping was heard since the previous one is a miss; misses in a row end the
 * engine. The period is the hub's plus half a second, as the reference has it. */
#include "engine/core.h"

#include <inttypes.h>

#include "util/log.h"

#define SLACK_MS 500

static void on_check(struct timer *t)
{
    struct engine *e = container_of(t, struct engine, heart.check);
    struct heart *h = &e->heart;
    int64_t since = h->last_check_ns;
    h->last_check_ns = loop_now_ns(e->loop);
    loop_after(e->loop, t, MS_TO_NS(h->period_ms + SLACK_MS));
    engine_tidy_later(e);
    if (e->channels.last_ping_ns >= since) {
        h->misses = 0;
        return;
    }
    h->misses++;
    log_warn("No heartbeat in the last %" PRId64 " ms (%" PRId64 " time(s) in a row).",
             h->period_ms + SLACK_MS, h->misses);
    if (h->misses < e->cfg.heartbeat_misses_max)
        return;
    log_critical("Maximum number of heartbeats misses reached (%" PRId64 " times %" PRId64
                 " ms), shutting down.",
                 e->cfg.heartbeat_misses_max, h->period_ms + SLACK_MS);
    life_stop(e, STOP_HEART);
}

void heart_start(struct engine *e, int64_t hb_period_ms)
{
    if (e->cfg.heartbeat_misses_max <= 0)
        return;
    e->heart = (struct heart){
        .check.fn = on_check, .period_ms = hb_period_ms, .last_check_ns = loop_now_ns(e->loop)};
    log_info("Starting to monitor the heartbeat signal from the hub every %" PRId64 " ms.",
             hb_period_ms + SLACK_MS);
    loop_after(e->loop, &e->heart.check, MS_TO_NS(hb_period_ms + SLACK_MS));
}

void heart_stop(struct engine *e)
{
    loop_cancel(e->loop, &e->heart.check);
}
