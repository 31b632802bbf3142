/* SPDX-License-Identifier: BSD-3-Clause */
/* Pings and pongs. A period is divided: in its first half each connection is pinged, in its
 * last quarter each engine is looked at, either a few in a turn (rounds.h). So between two
 * looks at an engine there is always one ping that it had time to answer. A ping's payload is
 * the number of seconds since the monitor started, so an echo tells by itself which ping it
 * answers; what is older than the previous period's is ignored. Any message since the last look
 * counts as a beat, a part of a large one as well, and an engine that the router itself does
 * not read at present (flow control) is not blamed for its silence. */
#include "router/heart.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "router/core.h"
#include "router/registration.h"
#include "util/log.h"

#define PAYLOAD_MAX 32
#define ROUNDING_NS 1000000 /* of a time that went through a decimal fraction */

static int64_t since_start(const struct router *r)
{
    return loop_now_ns(r->loop) - r->heart.start_ns;
}

static struct frame make_payload(struct router *r, char buf[PAYLOAD_MAX])
{
    int n = snprintf(buf, PAYLOAD_MAX, "%.9f", (double)since_start(r) / 1e9);
    return (struct frame){(const uint8_t *)buf, (size_t)n, NULL};
}

/* A connection that takes nothing has enough of them waiting. */
static void ping(struct link *l)
{
    char buf[PAYLOAD_MAX];
    struct frame payload = make_payload(l->router, buf);
    if (!peer_is_full(l->peer))
        link_send_channel(l, CH_HB, &payload, 1, NULL);
}

static void ping_item(struct rounds *rs, struct list *item)
{
    ping(container_of(item, struct link, beat));
}

static bool is_held_back(const struct engine *e)
{
    if (e->attach)
        return peer_is_paused(e->attach->peer);
    for (int ch = 0; ch < CH_MAX; ch++)
        if (e->links[ch] && peer_is_paused(e->links[ch]->peer))
            return true;
    return false;
}

/* Pings and their echoes wait behind a large message. */
static bool has_moved(struct engine *e)
{
    uint64_t sum = e->attach ? peer_moved(e->attach->peer) : 0, before = e->moved;
    for (int ch = 0; ch < CH_MAX; ch++)
        if (e->links[ch])
            sum += peer_moved(e->links[ch]->peer);
    e->moved = sum;
    return sum != before;
}

static void judge(struct router *r, struct engine *e)
{
    if (has_moved(e) || e->heard) {
        e->heard = false;
        engine_event(e, EV_BEAT);
        return;
    }
    if (is_held_back(e))
        return;
    engine_event(e, EV_MISSED);
    log_info("heartbeat::missed b'%.*s' : %u", SLICE_FMT(e->uuid), e->misses);
    if (e->misses > r->cfg.heart_misses_max)
        engine_end(e, EV_HEART_FAILED, "its heartbeat stopped");
}

static void judge_item(struct rounds *rs, struct list *item)
{
    judge(container_of(rs, struct router, heart.looks),
          container_of(item, struct engine, beat));
}

static void begin_period(struct router *r)
{
    int64_t period_ns = MS_TO_NS(r->cfg.heart_period_ms);
    rounds_start(&r->heart.pings, period_ns / 2);
    loop_after(r->loop, &r->heart.look, period_ns / 4 * 3);
    loop_after(r->loop, &r->heart.tick, period_ns);
}

static void on_tick(struct timer *t)
{
    struct router *r = container_of(t, struct router, heart.tick);
    r->heart.previous_tick_ns = r->heart.last_tick_ns;
    r->heart.last_tick_ns = since_start(r);
    begin_period(r);
}

static void on_look(struct timer *t)
{
    struct router *r = container_of(t, struct router, heart.look);
    rounds_start(&r->heart.looks, MS_TO_NS(r->cfg.heart_period_ms) / 4);
}

/* One that takes longer than it may is pinged as others are. */
static bool waits_for_beat(const struct engine *e)
{
    return !e->has_beaten && !engine_says_ready(e) && timer_is_set(&e->stall);
}

/* Nobody knows which subscription is whose. */
static void on_hurry(struct timer *t)
{
    struct router *r = container_of(t, struct router, heart.hurry);
    bool is_wanted = false, has_stock = false;
    list_for_each (&r->registry.pending, it) {
        const struct engine *e = container_of(it, struct engine, link);
        if (!waits_for_beat(e))
            continue;
        is_wanted = true;
        if (e->attach)
            ping(e->attach);
        else
            has_stock = true;
    }
    char buf[PAYLOAD_MAX];
    struct frame payload = make_payload(r, buf);
    if (has_stock)
        port_publish(ports_get(&r->ports, RT_HB_PING), &payload, 1);
    if (is_wanted)
        loop_after(r->loop, t, MS_TO_NS(HEART_HURRY_MS));
}

void heart_start(struct router *r)
{
    r->heart.start_ns = loop_now_ns(r->loop);
    r->heart.tick.fn = on_tick;
    r->heart.look.fn = on_look;
    r->heart.hurry.fn = on_hurry;
    log_info("Heartmonitor beating every %" PRId64 "ms", r->cfg.heart_period_ms);
    rounds_init(&r->heart.pings, r->loop, ping_item);
    rounds_init(&r->heart.looks, r->loop, judge_item);
    begin_period(r);
}

void heart_stop(struct router *r)
{
    loop_cancel(r->loop, &r->heart.tick);
    loop_cancel(r->loop, &r->heart.look);
    loop_cancel(r->loop, &r->heart.hurry);
    rounds_stop(&r->heart.pings);
    rounds_stop(&r->heart.looks);
}

void heart_hurry(struct router *r)
{
    if (!timer_is_set(&r->heart.hurry))
        loop_after(r->loop, &r->heart.hurry, MS_TO_NS(HEART_HURRY_MS));
}

void heart_on_listener(struct link *l)
{
    ping(l);
    if (list_is_empty(&l->beat))
        rounds_add(&l->router->heart.pings, &l->beat);
}

void heart_forget(struct link *l)
{
    rounds_remove(&l->router->heart.pings, &l->beat);
}

void heart_watch(struct router *r, struct engine *e)
{
    rounds_add(&r->heart.looks, &e->beat);
}

void heart_unwatch(struct router *r, struct engine *e)
{
    rounds_remove(&r->heart.looks, &e->beat);
}

/* The time of a payload; negative when it is none of ours. */
static int64_t read_payload(const struct frame *f)
{
    char buf[PAYLOAD_MAX];
    double seconds;
    if (f->len == 0 || f->len >= sizeof(buf))
        return -1;
    memcpy(buf, f->data, f->len);
    buf[f->len] = '\0';
    if (str_to_double(buf, &seconds) < 0 || !(seconds >= 0 && seconds < 1e9))
        return -1;
    return llround(seconds * 1e9);
}

void heart_on_pong(struct link *l, const struct msg *m)
{
    struct router *r = l->router;
    int64_t sent = m->n ? read_payload(&m->frames[m->n - 1]) : -1;
    if (sent < 0 || sent < r->heart.previous_tick_ns - ROUNDING_NS ||
        sent > since_start(r) + ROUNDING_NS) {
        r->heart.late++;
        log_debug("heartbeat::got an old or unknown heartbeat from %s", peer_address(l->peer));
        return;
    }
    if (l->engine && l->engine->state != ENGINE_GONE)
        engine_beat(l->engine);
    else
        registration_revive(l);
}
