/* SPDX-License-Identifier: BSD-3-Clause */
/* The minute begins with the first complaint. After one in which some were held back comes
 * another, so a storm is a handful of lines a minute; after a quiet one the timer rests. */
#include "loop/complaints.h"

#include <stdarg.h>
#include <stdio.h>

#include "util/log.h"

#define MINUTE_MS 60000
#define TEXT_MAX 1024

static bool tell_held(struct complaints *c)
{
    static const char *const texts[] = {
#define X(name, text) text,
        COMPLAINTS(X)
#undef X
    };
    bool any = false;
    for (int i = 0; i < COMPLAINT_MAX; i++) {
        if (c->kinds[i].held)
            log_warn("%llu more %s, within a minute: of these only the first %d are told",
                     (unsigned long long)c->kinds[i].held, texts[i], COMPLAINTS_A_MINUTE);
        any = any || c->kinds[i].held;
        c->kinds[i].held = c->kinds[i].told = 0;
    }
    return any;
}

static void on_minute(struct timer *t)
{
    struct complaints *c = container_of(t, struct complaints, minute);
    if (tell_held(c))
        loop_after(c->loop, t, MS_TO_NS(MINUTE_MS));
}

void complaints_init(struct complaints *c, struct loop *l)
{
    *c = (struct complaints){.loop = l, .minute.fn = on_minute};
}

void complaints_fini(struct complaints *c)
{
    if (!c->loop)
        return;
    loop_cancel(c->loop, &c->minute);
    tell_held(c);
}

void complain(struct complaints *c, enum complaint kind, const char *fmt, ...)
{
    char text[TEXT_MAX];
    if (!timer_is_set(&c->minute))
        loop_after(c->loop, &c->minute, MS_TO_NS(MINUTE_MS));
    if (c->kinds[kind].told == COMPLAINTS_A_MINUTE) {
        c->kinds[kind].held++;
        return;
    }
    c->kinds[kind].told++;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_warn("%s", text);
}
