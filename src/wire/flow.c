/* SPDX-License-Identifier: BSD-3-Clause */
/* Flow control: a peer is not read while somebody has paused it, or while one that its messages
 * go to has too much waiting. */
#include <stdlib.h>

#include "wire/wire_impl.h"

/* A source that isn't read until a sink has drained. */
struct stall {
    struct list of_sink, of_source;
    struct peer *source;
    struct peer *sink;
};

void peer_pause(struct peer *p)
{
    if (p->paused++ || !p->conn)
        return;
    unfinished_step_aside(p->conn);
    conn_update_events(p->conn);
}

void peer_resume(struct peer *p)
{
    if (p->paused && --p->paused == 0 && p->conn)
        unfinished_step_back(p->conn);
}

bool peer_is_paused(const struct peer *p)
{
    return p->paused || (p->conn && p->conn->waits);
}

static void unstall(struct stall *s)
{
    list_remove(&s->of_sink);
    list_remove(&s->of_source);
    peer_resume(s->source);
    free(s);
}

void peer_release_sources(struct peer *sink)
{
    while (!list_is_empty(&sink->sources))
        unstall(container_of(sink->sources.next, struct stall, of_sink));
}

void peer_leave_sinks(struct peer *source)
{
    while (!list_is_empty(&source->sinks))
        unstall(container_of(source->sinks.next, struct stall, of_source));
}

void peer_stall(struct peer *source, struct peer *sink)
{
    if (!sink->is_full || !sink->conn || !source->conn)
        return;
    list_for_each (&source->sinks, it)
        if (container_of(it, struct stall, of_source)->sink == sink)
            return;
    struct stall *s = malloc(sizeof(*s));
    if (!s)
        return;
    s->source = source;
    s->sink = sink;
    list_push_back(&sink->sources, &s->of_sink);
    list_push_back(&source->sinks, &s->of_source);
    peer_pause(source);
}
