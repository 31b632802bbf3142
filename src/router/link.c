/* SPDX-License-Identifier: BSD-3-Clause */
/* Connected peers: binding to engines, sending with back-pressure, admission of what they send.
 */
#include "router/link.h"

#include <stdlib.h>
#include <string.h>

#include "router/core.h"
#include "util/log.h"

#define LINK_LOOK_MS 1000 /* at a client whose queue is full */

static const char *const reject_texts[] = {
#define X(name, text) text,
    REJECTS(X)
#undef X
};

static const struct frame channel_names[CH_MAX] = {
    [CH_QUERY] = FRAME_LIT("query"),         [CH_MUX] = FRAME_LIT("mux"),
    [CH_TASK] = FRAME_LIT("task"),           [CH_CONTROL] = FRAME_LIT("control"),
    [CH_IOPUB] = FRAME_LIT("iopub"),         [CH_HB] = FRAME_LIT("hb"),
    [CH_BROADCAST] = FRAME_LIT("broadcast"),
};

static void watch_stuck(struct link *l)
{
    uint64_t moved = peer_moved(l->peer);
    if (!l->stuck_since_ns || moved != l->moved)
        l->stuck_since_ns = loop_now_ns(l->router->loop);
    l->moved = moved;
    loop_after(l->router->loop, &l->stuck, MS_TO_NS(LINK_LOOK_MS));
}

/* A client that has taken nothing for so long is not coming back to it: it is dropped, so that
 * the engines held back for it can serve others. Its results are in the records. A slow line is
 * another matter. */
static void on_stuck(struct timer *t)
{
    struct link *l = container_of(t, struct link, stuck);
    watch_stuck(l);
    if (loop_now_ns(l->router->loop) - l->stuck_since_ns < MS_TO_NS(LINK_STUCK_MS))
        return;
    complain(&l->router->complaints, COMPLAINT_READER,
             "%s::client %s does not read, %zu octets wait for it: dropped", l->gate->row->key,
             peer_address(l->peer), peer_queued_bytes(l->peer));
    l->router->rejects[REJECT_UNREAD]++;
    peer_close(l->peer);
}

struct link *link_new(struct gate *g, struct peer *p)
{
    struct link *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->router = g->router;
    l->gate = g;
    l->peer = p;
    l->stuck.fn = on_stuck;
    list_init(&l->wait);
    list_init(&l->beat);
    return l;
}

void link_free(struct link *l)
{
    if (!l)
        return;
    loop_cancel(l->router->loop, &l->stuck);
    list_remove(&l->wait);
    heart_forget(l);
    free(l);
}

bool link_is_attached(const struct link *l)
{
    return l->gate == &l->router->ports.gates[RT_ATTACH];
}

static struct link **engine_slot(const struct link *l, struct engine *e)
{
    return link_is_attached(l) ? &e->attach : &e->links[l->gate->row->channel];
}

void link_bind(struct link *l, struct engine *e)
{
    if (l->engine == e)
        return;
    link_unbind(l);
    struct link **slot = engine_slot(l, e);
    if (*slot)
        link_unbind(*slot);
    *slot = l;
    l->engine = e;
}

void link_unbind(struct link *l)
{
    if (!l->engine)
        return;
    struct link **slot = engine_slot(l, l->engine);
    if (*slot == l)
        *slot = NULL;
    l->engine = NULL;
}

void link_bind_all(struct router *r, struct engine *e)
{
    static const enum route routes[] = {RT_QUERY,          RT_MUX_ENGINE, RT_TASK_ENGINE,
                                        RT_CONTROL_ENGINE, RT_HB_PONG,    RT_ATTACH};
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        struct link *l = ports_find(r, routes[i], e->uuid);
        if (l)
            link_bind(l, e);
    }
    struct link *leaf = ports_find_leaf(r, e->uuid);
    if (leaf)
        link_bind(leaf, e);
}

void link_unbind_all(struct engine *e)
{
    for (int ch = 0; ch < CH_MAX; ch++)
        if (e->links[ch])
            link_unbind(e->links[ch]);
    if (e->attach)
        link_unbind(e->attach);
}

void link_drop_full(struct engine *e)
{
    struct link *links[CH_MAX + 1] = {[CH_MAX] = e->attach};
    memcpy(links, e->links, sizeof(e->links));
    for (int i = 0; i <= CH_MAX; i++)
        if (links[i] && peer_is_full(links[i]->peer))
            peer_close(links[i]->peer);
}

void link_find_relay(struct link *l, const char *own)
{
    const char *here = peer_address(l->peer);
    l->is_relayed = own && strstr(here, "://") && strcmp(own, here) != 0;
    if (l->is_relayed)
        log_debug("registration::%.*s is %s there and %s here", SLICE_FMT(link_identity(l)),
                  own, here);
}

int link_send(struct link *to, const struct frame *frames, unsigned n, struct link *source)
{
    int rc = peer_send(to->peer, frames, n);
    if (rc < 0 || !peer_is_full(to->peer))
        return rc;
    if (to->gate->row->side == SIDE_CLIENT && !timer_is_set(&to->stuck))
        watch_stuck(to);
    if (source)
        peer_stall(source->peer, to->peer);
    return rc;
}

void link_drained(struct link *l)
{
    loop_cancel(l->router->loop, &l->stuck);
    l->stuck_since_ns = 0;
}

struct frame channel_frame(enum channel ch)
{
    return channel_names[ch];
}

int link_send_channel(struct link *to, enum channel ch, const struct frame *frames, unsigned n,
                      struct link *source)
{
    if (!link_is_attached(to))
        return link_send(to, frames, n, source);
    frames = router_prepend(to->router, &channel_names[ch], 1, frames, n);
    return frames ? link_send(to, frames, n + 1, source) : ERSA_ENOMEM;
}

bool link_admit(struct link *l, const struct frame *frames, unsigned n, struct parts *ret)
{
    if (n == 1 && frames[0].len == 0) /* the probe of a ROUTER */
        return false;
    if (parts_split(frames, n, ret) < 0) {
        link_reject(l, REJECT_MALFORMED);
        return false;
    }
    if (session_verify(l->router->session, ret) < 0) {
        link_reject(l, REJECT_SIGNATURE);
        return false;
    }
    return true;
}

void link_reject(struct link *l, enum reject why)
{
    l->router->rejects[why]++;
    if (l->complained)
        return;
    l->complained = true;
    complain(&l->router->complaints, COMPLAINT_MESSAGE,
             "%s::dropped from %s: %s (further ones are only counted)", l->gate->row->key,
             peer_address(l->peer), reject_texts[why]);
}

void link_reject_error(struct link *l, int rc)
{
    static const struct {
        int rc;
        enum reject why;
    } reasons[] = {
        {ERSA_EPROTO, REJECT_MALFORMED}, {ERSA_EAUTH, REJECT_SIGNATURE},
        {ERSA_EPARSE, REJECT_HEADER},    {ERSA_EEXIST, REJECT_REPLAY},
        {ERSA_ENOENT, REJECT_STRANGER},  {ERSA_ENOMEM, REJECT_NO_MEMORY},
    };
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].rc == rc)
            link_reject(l, reasons[i].why);
}
