/* SPDX-License-Identifier: BSD-3-Clause */
/* The attach port: takes the channel's name off and hands the rest to whoever serves that
 * channel of a stock engine. What goes back gets the name again in link_send_channel(). */
#include "router/attach.h"

#include "router/broadcasts.h"
#include "router/core.h"
#include "router/direct.h"
#include "router/iopub.h"
#include "router/tasks.h"

static void on_mux(struct link *l, const struct msg *m)
{
    direct_from_attached(l, CH_MUX, m);
}

static void on_control(struct link *l, const struct msg *m)
{
    direct_from_attached(l, CH_CONTROL, m);
}

static void (*const handlers[CH_MAX])(struct link *l, const struct msg *m) = {
    [CH_QUERY] = hub_on_message,
    [CH_MUX] = on_mux,
    [CH_TASK] = tasks_from_engine,
    [CH_CONTROL] = on_control,
    [CH_IOPUB] = iopub_from_engine,
    [CH_HB] = heart_on_pong,
    [CH_BROADCAST] = broadcasts_from_engine,
};

void attach_on_up(struct link *l)
{
    heart_on_listener(l);
}

void attach_on_message(struct link *l, const struct msg *m)
{
    struct slice name = m->n ? frame_slice(&m->frames[0]) : SLICE_LIT("");
    struct msg rest = {m->frames + 1, m->n - 1};
    for (enum channel ch = 0; ch < CH_MAX; ch++) {
        struct frame known = channel_frame(ch);
        if (!slice_eq(name, frame_slice(&known)))
            continue;
        if (ch != CH_HB && l->engine)
            l->engine->heard = true;
        handlers[ch](l, &rest);
        return;
    }
    link_reject(l, REJECT_CHANNEL);
}
