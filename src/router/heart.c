/* SPDX-License-Identifier: BSD-3-Clause */
/* Pings and pongs. A ping's payload is the number of seconds since the monitor started, so an
 * echo tells by itself which ping it answers; what is older than the previous tick's is
 * ignored. Any message since the last tick counts as a beat, a part of a large one as well, and
 * an engine that the router itself does not read at present (flow control) is not blamed for
 * its silence. */
#include "router/heart.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "router/attach.h"
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

static void ping_all(struct router *r)
{
    char buf[PAYLOAD_MAX];
    struct frame payload = make_payload(r, buf);
    port_publish(ports_get(&r->ports, RT_HB_PING), &payload, 1);
    attach_ping_all(r, &payload);
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

static void on_tick(struct timer *t)
{
    struct router *r = container_of(t, struct router, heart.tick);
    list_for_each (&r->registry.live, it)
        judge(r, container_of(it, struct engine, link));
    r->heart.previous_tick_ns = r->heart.last_tick_ns;
    r->heart.last_tick_ns = since_start(r);
    ping_all(r);
    loop_after(r->loop, t, MS_TO_NS(r->cfg.heart_period_ms));
}

static bool waits_for_beat(const struct router *r)
{
    list_for_each (&r->registry.pending, it) {
        const struct engine *e = container_of(it, struct engine, link);
        if (!e->has_beaten && !(e->caps & CAP_ready))
            return true;
    }
    return false;
}

static void on_hurry(struct timer *t)
{
    struct router *r = container_of(t, struct router, heart.hurry);
    if (!waits_for_beat(r))
        return;
    ping_all(r);
    loop_after(r->loop, t, MS_TO_NS(HEART_HURRY_MS));
}

void heart_start(struct router *r)
{
    r->heart.start_ns = loop_now_ns(r->loop);
    r->heart.tick.fn = on_tick;
    r->heart.hurry.fn = on_hurry;
    log_info("Heartmonitor beating every %" PRId64 "ms", r->cfg.heart_period_ms);
    loop_after(r->loop, &r->heart.tick, MS_TO_NS(r->cfg.heart_period_ms));
}

void heart_stop(struct router *r)
{
    loop_cancel(r->loop, &r->heart.tick);
    loop_cancel(r->loop, &r->heart.hurry);
}

void heart_hurry(struct router *r)
{
    if (!timer_is_set(&r->heart.hurry))
        loop_after(r->loop, &r->heart.hurry, MS_TO_NS(HEART_HURRY_MS));
}

void heart_greet(struct link *l)
{
    char buf[PAYLOAD_MAX];
    struct frame payload = make_payload(l->router, buf);
    link_send_channel(l, CH_HB, &payload, 1, NULL);
}

void heart_on_subscribed(struct link *l)
{
    heart_greet(l);
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
