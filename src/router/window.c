/* SPDX-License-Identifier: BSD-3-Clause */
/* Replies come in bursts, as sockets hand them over: a mean over single spacings would swing
 * with them. So time is summed up to SPAN_NS first, and what one task took in that span goes
 * into the mean. */
#include "router/window.h"

#define SPAN_NS (WINDOW_NS / 8)
#define WEIGHT 4 /* a span counts for so much of the mean: 1/4 */

void window_init(struct window *w)
{
    *w = (struct window){.size = 1};
}

void window_start(struct window *w, int64_t now_ns)
{
    w->since_ns = now_ns;
    w->trip = WINDOW_OUT;
}

int64_t window_running_ns(const struct window *w, int64_t now_ns)
{
    return now_ns - w->since_ns;
}

static int64_t task_ns(const struct window *w)
{
    if (w->mean_ns)
        return w->mean_ns;
    return w->n ? w->busy_ns / w->n + 1 : WINDOW_NS;
}

static unsigned wanted(const struct window *w)
{
    int64_t n = WINDOW_NS / task_ns(w);
    return n < 1 ? 1 : n > WINDOW_MAX ? WINDOW_MAX : (unsigned)n;
}

static void take_span(struct window *w)
{
    int64_t task = w->busy_ns / w->n + 1;
    w->mean_ns = w->mean_ns ? w->mean_ns + (task - w->mean_ns) / WEIGHT : task;
    w->busy_ns = 0;
    w->n = 0;
}

bool window_is_vague(const struct window *w, int64_t now_ns)
{
    return w->trip == WINDOW_OUT || window_running_ns(w, now_ns) >= WINDOW_NS;
}

static void count(struct window *w, int64_t took_ns)
{
    w->busy_ns += took_ns > 0 ? took_ns : 0;
    w->n++;
    if (w->busy_ns >= SPAN_NS)
        take_span(w);
}

/* Of the replies that a trip brings in one turn the engine's word about the first is enough:
 * the others are as long as that, and their spacing is nothing. */
void window_answer(struct window *w, int64_t now_ns, int64_t said_ns)
{
    int64_t spacing = window_running_ns(w, now_ns);
    bool is_said = window_is_vague(w, now_ns) && said_ns >= 0;
    bool is_with_first = w->trip == WINDOW_BACK && spacing == 0;
    int64_t took = is_said ? said_ns : spacing;
    if (took >= WINDOW_NS)
        window_init(w);
    w->since_ns = now_ns;
    w->trip = is_said || is_with_first ? WINDOW_BACK : WINDOW_STEADY;
    if (took >= WINDOW_NS)
        return;
    if (!is_with_first)
        count(w, took);
    unsigned most = wanted(w);
    w->size = w->size < most ? w->size + 1 : most;
}

int64_t window_work_ns(const struct window *w, unsigned n)
{
    return n * task_ns(w);
}
